"""Sweeps: many runs of one command, driven to their end and compared on one page."""
