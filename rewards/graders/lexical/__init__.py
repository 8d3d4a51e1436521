"""The second judge: counts of words instead of a language model, and never a reward."""
