"""The spread between training runs that differ in the seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mint.evaluation.statistics.bootstrap import Interval
from rewards.errors import DataError


class Spread(NamedTuple):
    """One metric over runs."""

    runs: int
    mean: float
    deviation: float
    """Standard deviation between runs (n - 1)."""
    interval: Interval
    """Of the mean over all runs that could have been made, by the t distribution."""


def spread_of(values: Sequence[float], confidence: float) -> Spread:
    """Mean, standard deviation and t interval of a value of each run.

    Raises DataError for fewer than two runs, from which no spread can be known.
    """
    # Imported here: a second that commands without intervals should not wait for.
    from scipy.special import stdtrit

    runs = len(values)
    if runs < 2:
        raise DataError(f"the spread between runs needs two runs or more, got {runs}")
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    margin = float(stdtrit(runs - 1, 0.5 + confidence / 2)) * deviation / runs**0.5
    return Spread(runs, mean, deviation, Interval(mean - margin, mean + margin))
