"""Exit statuses of `mint.train` that are no failure; 1, 2 and 128 + a signal's number are."""

from __future__ import annotations

FINISHED = 0
COLLAPSED = 3
"""The collapse alarm has ended the training; a model is exported."""
SAVED = 75
"""Saved and ended as asked by SIGUSR1: EX_TEMPFAIL, start it again."""
NO_FAILURE = (FINISHED, COLLAPSED, SAVED)
