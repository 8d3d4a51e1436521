"""Intervals for statistics of conversations: percentile bootstrap, jackknife, and Wilson's.

Turns of one conversation resemble each other, so conversations are resampled, never single turns;
resampling turns makes intervals too narrow. Conversations of one scenario resemble each other too:
where the scenario is known, it takes their place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mint.evaluation.statistics.arrays import Floats
from mint.safety.statistics import paired_difference, wilson


class Interval(NamedTuple):
    """Lower and upper end; None when the data do not determine them."""

    low: float | None
    high: float | None


UNKNOWN = Interval(None, None)


def resample_counts(num_conversations: int, resamples: int, seed: int) -> Floats:
    """[resamples, conversations]: how often each conversation is drawn, with replacement.

    Every row sums to `num_conversations`. Multiplied with sums per conversation this gives the
    sums of each resample.
    """
    rng = np.random.default_rng(seed)
    share = np.full(num_conversations, 1.0 / num_conversations)
    return rng.multinomial(num_conversations, share, size=resamples).astype(np.float64)


def percentile_interval(values_R: Floats, confidence: float) -> Interval:
    """Middle `confidence` share of resampled values; undefined resamples (NaN) are left out.

    Unknown when fewer than nine in ten resamples are defined.
    """
    defined = values_R[np.isfinite(values_R)]
    if len(defined) == 0 or len(defined) < 0.9 * len(values_R):
        return UNKNOWN
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high))


def leave_one_out_counts(num_conversations: int) -> Floats:
    """[conversations, conversations]: as `resample_counts`, each row without one conversation."""
    return 1.0 - np.eye(num_conversations)


def jackknife_interval(value: float, without_C: Floats, confidence: float) -> Interval:
    """value +- t * SE, with SE from the values that leave out one conversation each.

    SE^2 = (C - 1) / C * sum (without_c - mean)^2, and t the quantile with C - 1 degrees of freedom.
    Unknown for fewer than two conversations.
    """
    # Imported here: a second that commands without intervals should not wait for.
    from scipy.special import stdtrit

    count = len(without_C)
    if count < 2 or not np.isfinite(value) or not np.isfinite(without_C).all():
        return UNKNOWN
    margin = float(stdtrit(count - 1, 0.5 + confidence / 2)) * jackknife_error(without_C)
    return Interval(value - margin, value + margin)


def jackknife_error(without_C: Floats) -> float:
    """Standard error from the values that leave out one conversation each, at least two."""
    count = len(without_C)
    variance = (count - 1) / count * float(np.sum((without_C - without_C.mean()) ** 2))
    return float(variance**0.5)


def none_or_all(share: float, conversations: int, confidence: float) -> Interval | None:
    """Wilson's interval for a share of 0 or 1, of which every resample is a copy; None for others.

    The conversations are its trials, however many replies they have: those may all be alike.
    Unknown for fewer than two conversations.
    """
    if share not in (0.0, 1.0):
        return None
    if conversations < 2:
        return UNKNOWN
    found = wilson(round(share) * conversations, conversations, confidence)
    return Interval(found.low, found.high)


def none_or_all_difference(
    before: float, after: float, conversations: int, confidence: float
) -> Interval | None:
    """The same for after - before of two shares that are 0 or 1 (Bonett and Price, 2012)."""
    if not {before, after} <= {0.0, 1.0}:
        return None
    if conversations < 2:
        return UNKNOWN
    gained, lost = (
        conversations * round(x * (1 - y)) for x, y in ((after, before), (before, after))
    )
    found = paired_difference(gained, lost, conversations, confidence)
    return Interval(found.low, found.high)
