"""What grades on the CPU: one adapted encoder, heads for tactics and ratings, a guard."""
