"""Credit of turns: what each turn of each sibling dialogue earned, against its siblings.

Pure arithmetic on arrays [G, T]: a row a dialogue of the group, a column a turn, NaN where the
dialogue is over. The baseline of a turn is the mean of the *other* siblings at that turn, so it
does not depend on what the dialogue itself says, and the advantages are an unbiased estimate of the
policy gradient (leave-one-out; arXiv 2402.14740).

Whom a turn is compared with:

    "all"      every other sibling; one that is over counts 0, what is really still to come for it
    "talking"  the others that still talk at that turn; 0 where there are none

Both see what one more turn is worth, because a return-to-go holds it. What does not is centring the
*reward* of each turn on its turn's mean and adding up: there the turns that all talkers have cost
and earn nothing, whatever they bring (`tests/unit/test_credit.py` has the smallest exact case).
"talking" learns nothing from the last one that talks, which makes late turns count less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BASELINES = ("all", "talking")
_SAME = 1e-6
"""verl's addition to a deviation before it divides by it (`compute_grpo_outcome_advantage`)."""


def returns_to_go(rewards_GT: Floats) -> Floats:
    """Sum of a turn's reward and all later ones, without discount; NaN stays.

    >>> returns_to_go(np.array([[1.0, 2.0, np.nan]])).tolist()
    [[3.0, 2.0, nan]]
    """
    filled = np.nan_to_num(rewards_GT, nan=0.0)
    summed = np.flip(np.cumsum(np.flip(filled, axis=1), axis=1), axis=1)
    return np.where(np.isnan(rewards_GT), np.nan, summed)


def leave_one_out(values_GT: Floats, baseline: str = "all") -> Floats:
    """Each value less the mean of the other siblings' at that turn; NaN stays.

    With "all" G >= 2 is needed. Where nobody has ended each column sums to 0, whichever the
    baseline.
    """
    talking = ~np.isnan(values_GT)
    filled = np.nan_to_num(values_GT, nan=0.0)
    others = _members(talking, baseline) - 1
    mean = (filled.sum(0) - filled) / np.maximum(others, 1)
    return np.where(talking, np.where(others > 0, filled - mean, 0.0), np.nan)


def pooled_deviation(values_GT: Floats, baseline: str = "all") -> float:
    """Standard deviation of the siblings' values within a turn, pooled over turns, >= 0.

    sqrt(sum_t sum_i (x_it - mean_t)^2 / sum_t (n_t - 1)), over those a turn is compared with: one
    number a group, so that scaling by it changes no turn's weight against another's. For one
    column it is the deviation that GRPO divides by.
    """
    talking = ~np.isnan(values_GT)
    filled = np.nan_to_num(values_GT, nan=0.0)
    counts = _members(talking, baseline)
    means = filled.sum(0) / np.maximum(counts, 1)
    counted = talking if baseline == "talking" else np.ones_like(talking)
    squares = (np.where(counted, filled - means, 0.0) ** 2).sum()
    free = np.maximum(counts - 1, 0).sum()
    return float(np.sqrt(squares / free)) if free else 0.0


def scaled(values_GT: Floats, baseline: str = "all") -> Floats:
    """`leave_one_out` in units of `pooled_deviation`.

    For one column G / (G - 1) times GRPO's advantage, (x - mean) / (std + 1e-6).
    """
    return leave_one_out(values_GT, baseline) / (pooled_deviation(values_GT, baseline) + _SAME)


def _members(talking: NDArray[np.bool_], baseline: str) -> NDArray[np.int_]:
    """How many siblings each turn is compared among, itself included: [T]."""
    if baseline not in BASELINES:
        raise ValueError(f"baseline must be one of {', '.join(BASELINES)}, got {baseline!r}")
    number = talking.sum(0)
    return np.full_like(number, len(talking)) if baseline == "all" else number
