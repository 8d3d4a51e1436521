"""What is measured about replies; `summary` has all of it with intervals."""
