"""Intervals for shares: Wilson's for one share, Bonett and Price's for the difference of a pair."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

from rewards.errors import ConfigError


class Share(NamedTuple):
    """A share or a difference of two with its interval; None where there are no data."""

    value: float | None
    low: float | None
    high: float | None


NO_SHARE = Share(None, None, None)


def wilson(successes: int, trials: int, confidence: float) -> Share:
    """Share of successes with Wilson's score interval (1927); holds for few trials and at 0 and 1.

    >>> [round(end, 4) for end in wilson(8, 10, 0.95)]
    [0.8, 0.4902, 0.9433]
    """
    z = _z(confidence)
    if trials == 0:
        return NO_SHARE
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * (share * (1 - share) / trials + z * z / (4 * trials * trials)) ** 0.5
    scale = 1 + z * z / trials
    return Share(share, max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale))


def paired_difference(only_first: int, only_second: int, pairs: int, confidence: float) -> Share:
    """Share of first minus share of second over pairs, with the adjusted Wald interval.

    `only_first` pairs succeeded in the first alone, `only_second` in the second alone. Bonett and
    Price (2012): one is added to both counts, and two to the pairs, for the interval.
    """
    z = _z(confidence)
    if pairs == 0:
        return NO_SHARE
    p, q = (only_first + 1) / (pairs + 2), (only_second + 1) / (pairs + 2)
    half = z * ((p + q - (p - q) ** 2) / (pairs + 2)) ** 0.5
    value = (only_first - only_second) / pairs
    return Share(value, max(-1.0, p - q - half), min(1.0, p - q + half))


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence must be between 0 and 1, got {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
