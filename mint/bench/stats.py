"""Repeated measurements as median and range."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rewards.errors import DataError


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of `repeats` measurements, in the unit of the measurements."""

    median: float
    low: float
    high: float
    repeats: int

    def rate(self, amount: float) -> Spread:
        """`amount` a second, for measurements that are seconds."""
        return Spread(amount / self.median, amount / self.high, amount / self.low, self.repeats)


def spread(values: Sequence[float]) -> Spread:
    """Median and range of at least one measurement; DataError when there is none."""
    if not values:
        raise DataError("nothing was measured")
    return Spread(statistics.median(values), min(values), max(values), len(values))


def seconds(work: Callable[..., object], *arguments: Any) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


class Step(NamedTuple):
    """One measured training step; see `StepFigures`."""

    seconds: float
    parts: Mapping[str, float]
    replies: float
    reply_tokens: float
    reward: float
    overlapping: Mapping[str, float] = {}


@dataclass(frozen=True, kw_only=True)
class StepFigures:
    """One system's training steps, warm-up left out; seconds unless a name says otherwise."""

    system: str
    """What was measured, with version and number format."""
    parts: dict[str, Spread]
    """Part of a step -> seconds. They follow each other and add up to the step."""
    overlapping: dict[str, Spread] = field(default_factory=dict)
    """Work done by other processes while a part of `parts` goes on -> seconds."""
    step: Spread
    replies_per_s: Spread
    tokens_per_s: Spread
    """Generated tokens of all replies over the whole step's seconds."""
    reply_tokens: Spread
    """Mean length of a step's replies in tokens."""
    reward: Spread
    """Mean composite reward of a step's replies."""


def step_figures(
    system: str,
    runs: Sequence[Sequence[Mapping[str, Any]]],
    read: Callable[[Mapping[str, Any]], Step],
) -> StepFigures:
    """Figures of the steps that `read` makes of the runs' rows, each run's first left out: it warms
    caches up.

    DataError when a run has fewer than two.
    """
    for rows in runs:
        if len(rows) < 2:
            raise DataError(f"a measurement needs 2 steps or more, {system} has done {len(rows)}")
    steps = [read(row) for rows in runs for row in rows[1:]]
    return StepFigures(
        system=system,
        parts={name: spread([s.parts[name] for s in steps]) for name in steps[0].parts},
        overlapping={n: spread([s.overlapping[n] for s in steps]) for n in steps[0].overlapping},
        step=spread([s.seconds for s in steps]),
        replies_per_s=spread([s.replies / s.seconds for s in steps]),
        tokens_per_s=spread([s.replies * s.reply_tokens / s.seconds for s in steps]),
        reply_tokens=spread([s.reply_tokens for s in steps]),
        reward=spread([s.reward for s in steps]),
    )
