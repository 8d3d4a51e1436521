"""Intervals, tests and agreement; nothing here knows what is measured."""
