"""Conversations, training rows, prompts, the shipped material, and the audit of data."""
