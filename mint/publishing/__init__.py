"""A run's model as a folder for others: weights, prompts of training, card, figures; the hub."""
