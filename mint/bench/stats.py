"""Repeated measurements as median and range."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from rewards.errors import DataError


class Spread(NamedTuple):
    """Median, lowest and highest of `repeats` measurements, in the unit of the measurements."""

    median: float
    low: float
    high: float
    repeats: int


def spread(values: Sequence[float]) -> Spread:
    """Median and range of at least one measurement; DataError when there is none."""
    if not values:
        raise DataError("nothing was measured")
    return Spread(statistics.median(values), min(values), max(values), len(values))


class StepFigures(NamedTuple):
    """One system's training steps, warm-up left out; seconds unless a name says otherwise."""

    system: str
    """What was measured, with version and number format."""
    parts: dict[str, Spread]
    """Part of a step -> seconds. They follow each other and add up to the step."""
    overlapping: dict[str, Spread]
    """Work done by other processes while a part of `parts` goes on -> seconds."""
    step: Spread
    replies_per_s: Spread
    tokens_per_s: Spread
    """Generated tokens of all replies over the whole step's seconds."""
    reply_tokens: Spread
    """Mean length of a step's replies in tokens."""
    reward: Spread
    """Mean composite reward of a step's replies."""


def rates(replies: float, reply_tokens: float, seconds: float) -> tuple[float, float]:
    """Replies and generated tokens a second."""
    return replies / seconds, replies * reply_tokens / seconds
