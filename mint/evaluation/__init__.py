"""Evaluation of a model: settings, sessions and records here, the rest in a folder each."""
