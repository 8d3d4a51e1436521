"""Preference training: pairs of sampled replies that the graders agree on, and DPO on them."""
