"""Taggers and judges behind the two seams of `rewards.protocols`."""
