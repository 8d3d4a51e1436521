"""Agreement of raters: Spearman's correlation, weighted kappa and Krippendorff's alpha.

The first two are of two raters on the same items, and take how often each item was drawn in each
resample, so a bootstrap of thousands of resamples is a few matrix products. Suffixes: _N items,
_R resamples, _L levels of the rating scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import permutations

import numpy as np

from mint.evaluation.statistics.arrays import Floats, divide
from rewards.errors import DataError


def spearman(first_N: Floats, second_N: Floats, drawn_RN: Floats | None = None) -> Floats:
    """[R] rank correlation in [-1, 1], ties with their mean rank; NaN when a side is constant.

    `drawn_RN` holds how often each item occurs in each resample; once each when None.
    """
    drawn_RN = _drawn(first_N, second_N, drawn_RN)
    return _correlation(_ranks(first_N, drawn_RN), _ranks(second_N, drawn_RN), drawn_RN)


def weighted_kappa(
    first_N: Floats,
    second_N: Floats,
    levels: Sequence[int],
    drawn_RN: Floats | None = None,
) -> Floats:
    """[R] Cohen's kappa with quadratic weights, at most 1; 0 is chance, NaN when undefined.

    Ratings must be among `levels`, which are equally spaced. Raises DataError otherwise.
    """
    drawn_RN = _drawn(first_N, second_N, drawn_RN)
    first_NL, second_NL = _one_hot(first_N, levels), _one_hot(second_N, levels)
    cost_LL = np.subtract.outer(np.arange(len(levels)), np.arange(len(levels))) ** 2.0
    cost_N = np.einsum("nl,lm,nm->n", first_NL, cost_LL, second_NL)
    observed_R = drawn_RN @ cost_N
    expected_R = np.einsum("rl,lm,rm->r", drawn_RN @ first_NL, cost_LL, drawn_RN @ second_NL)
    return 1.0 - divide(observed_R * drawn_RN.sum(axis=1), expected_R)


def krippendorff_alpha(units: Sequence[Sequence[str]]) -> float | None:
    """Krippendorff's alpha for nominal values; `units` holds the values given to each unit.

    1 - observed / expected disagreement over all pairable values (Krippendorff 2011, "Computing
    Krippendorff's alpha-reliability"). Units with fewer than two values do not count. None when
    nothing is pairable or only one value occurs, where agreement cannot be told from its absence.
    """
    pairable = [unit for unit in units if len(unit) > 1]
    coincidences: Counter[tuple[str, str]] = Counter()
    for unit in pairable:
        for pair in permutations(unit, 2):
            coincidences[pair] += 1 / (len(unit) - 1)  # type: ignore[assignment]
    totals: Counter[str] = Counter()
    for (value, _), weight in coincidences.items():
        totals[value] += weight
    n = sum(totals.values())
    expected = sum(totals[a] * totals[b] for a, b in permutations(totals, 2))
    if n <= 1 or expected == 0:
        return None
    observed = sum(weight for (a, b), weight in coincidences.items() if a != b)
    return float(1 - (n - 1) * observed / expected)


def round_half_up(values: Floats) -> Floats:
    """Nearest whole number, halves upwards, so that 2.5 is 3 wherever it comes from."""
    return np.floor(values + 0.5)


def _drawn(first_N: Floats, second_N: Floats, drawn_RN: Floats | None) -> Floats:
    if len(first_N) != len(second_N):
        raise DataError(f"raters have {len(first_N)} and {len(second_N)} ratings")
    return np.ones((1, len(first_N))) if drawn_RN is None else drawn_RN


def _ranks(values_N: Floats, drawn_RN: Floats) -> Floats:
    """[R, N] mean rank of each item among the drawn items of each resample."""
    lower_NN = (values_N[:, None] < values_N).astype(float)
    equal_NN = (values_N[:, None] == values_N).astype(float)
    return drawn_RN @ (lower_NN + equal_NN / 2) + 0.5


def _correlation(x_RN: Floats, y_RN: Floats, drawn_RN: Floats) -> Floats:
    total_R1 = drawn_RN.sum(axis=1, keepdims=True)
    x_RN = x_RN - (drawn_RN * x_RN).sum(axis=1, keepdims=True) / total_R1
    y_RN = y_RN - (drawn_RN * y_RN).sum(axis=1, keepdims=True) / total_R1
    covariance, x_square, y_square = (
        (drawn_RN * a * b).sum(axis=1) for a, b in ((x_RN, y_RN), (x_RN, x_RN), (y_RN, y_RN))
    )
    return divide(covariance, np.sqrt(x_square * y_square))


def _one_hot(values_N: Floats, levels: Sequence[int]) -> Floats:
    hot_NL = np.equal.outer(np.asarray(values_N, dtype=float), np.asarray(levels, dtype=float))
    off = np.flatnonzero(~hot_NL.any(axis=1))
    if len(off):
        raise DataError(f"rating {values_N[off[0]]:g} is not one of {', '.join(map(str, levels))}")
    return hot_NL.astype(float)
