"""p-values of paired differences, and their correction for many comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mint.evaluation.statistics.arrays import Floats
from mint.evaluation.statistics.bootstrap import jackknife_error
from rewards.errors import DataError

_TIE = 1e-12
"""Differences up to this are 0: sums in another order differ in the last digits."""


def bootstrap_p_value(differences_R: Floats) -> float:
    """Two-sided p-value, in (0, 1], of "the difference is 0", from resampled differences.

    Twice the smaller share of resamples on either side of 0, each share counting the observed
    data as one more resample, so that it is never 0. A tie with 0 counts on both sides. NaN when
    fewer than nine in ten resamples are defined.
    """
    defined = differences_R[np.isfinite(differences_R)]
    if len(defined) == 0 or len(defined) < 0.9 * len(differences_R):
        return float("nan")
    below, above = int((defined <= _TIE).sum()), int((defined >= -_TIE).sum())
    return min(1.0, 2.0 * (min(below, above) + 1) / (len(defined) + 1))


def jackknife_p_value(difference: float, without_C: Floats) -> float:
    """Two-sided p-value, in [0, 1], of "the difference is 0", from the differences that leave out
    one conversation each, by the t distribution. NaN when the data do not determine it."""
    # Imported here: a second that commands without tests should not wait for.
    from scipy.special import stdtr

    if len(without_C) < 2 or not np.isfinite([difference, *without_C]).all():
        return float("nan")
    if abs(difference) <= _TIE:
        return 1.0
    error = jackknife_error(without_C)
    freedom = len(without_C) - 1
    return 2 * float(stdtr(freedom, -abs(difference) / error)) if error > _TIE else 0.0


def sign_test(gained: int, lost: int) -> float:
    """Two-sided p-value of "as many pairs were gained as lost" (exact McNemar test)."""
    # Imported here: a second or two that reports should not wait for.
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that control the chance of any false finding (Holm 1979).

    In the given order; NaN stays NaN and does not count as a test.
    """
    return _adjust(p_values, _holm)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that control the expected share of false findings (Benjamini and Hochberg
    1995). In the given order; NaN stays NaN and does not count as a test."""
    # Imported here: a second or two that reports should not wait for.
    from scipy.stats import false_discovery_control

    return _adjust(p_values, false_discovery_control)


def _holm(p: Floats) -> Floats:
    order = np.argsort(p, kind="stable")
    scaled = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(scaled, 1.0)[np.argsort(order)]


def _adjust(p_values: Sequence[float], adjust: Callable[[Floats], Floats]) -> list[float]:
    p = np.asarray(p_values, dtype=np.float64)
    defined = np.isfinite(p)
    if np.any((p[defined] < 0) | (p[defined] > 1)):
        raise DataError("p-values must lie in [0, 1]")
    adjusted = np.full(len(p), np.nan)
    if defined.any():
        adjusted[defined] = adjust(p[defined])
    return adjusted.tolist()
