"""Exit statuses beside 0, 1 (it broke), 2 (bad input) and 128 + a signal's number."""

from __future__ import annotations

FINISHED = 0
LIMIT_BROKEN = 3
"""A gate or limit that was asked for is broken; the command has done its work."""
COLLAPSED = LIMIT_BROKEN
"""The collapse alarm has ended the training; a model is exported."""
SAVED = 75
"""Saved and ended as asked by SIGUSR1: EX_TEMPFAIL, start it again."""
NO_FAILURE = (FINISHED, COLLAPSED, SAVED)
