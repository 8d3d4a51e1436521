"""Conversations with a simulated seeker: persons, seekers, rules and records."""
