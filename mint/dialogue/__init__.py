"""Conversations with a simulated seeker: persons, seekers, rules, records. No verl, no server loop."""
