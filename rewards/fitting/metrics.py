"""Figures of the metric cards: agreement of heads with labels they were not fitted on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def tactic_scores(truth: Bools, found: Bools) -> dict[str, float | int]:
    """Precision, recall and F1 of class 1, and macro-F1 = mean F1 of both classes, in [0, 1].

    A ratio with an empty denominator is 0, except the F1 of a class that neither side uses: 1.
    """
    tp, fp = int((truth & found).sum()), int((~truth & found).sum())
    fn, tn = int((truth & ~found).sum()), int((~truth & ~found).sum())
    return {
        "positives": tp + fn,
        "precision": _ratio(tp, tp + fp, 0.0),
        "recall": _ratio(tp, tp + fn, 0.0),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn, 1.0),
        "macro_f1": (_ratio(2 * tp, 2 * tp + fp + fn, 1.0) + _ratio(2 * tn, 2 * tn + fp + fn, 1.0))
        / 2,
    }


def tagging_report(truth: Bools, found: Bools, names: Sequence[str]) -> dict[str, Any]:
    """Number, mean macro-F1 and `tactic_scores` of each tactic; arrays [sentences, tactics]."""
    tactics = {
        name: _rounded(tactic_scores(truth[:, k], found[:, k])) for k, name in enumerate(names)
    }
    mean = float(np.mean([scores["macro_f1"] for scores in tactics.values()]))
    return {"sentences": len(truth), "mean_macro_f1": round(mean, 4), "tactics": tactics}


def best_thresholds(truth: Bools, probabilities: Floats) -> Floats:
    """For each tactic (column), the probability cut-off in [0.1, 0.9] with the best macro-F1."""
    grid = np.linspace(0.1, 0.9, 33)
    best = [
        grid[
            np.argmax(
                [tactic_scores(truth[:, k], probabilities[:, k] >= t)["macro_f1"] for t in grid]
            )
        ]
        for k in range(truth.shape[1])
    ]
    return np.array(best)


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation in [-1, 1] with ties averaged; nan when one side is constant."""
    ranks_a, ranks_b = _ranks(a), _ranks(b)
    ranks_a, ranks_b = ranks_a - ranks_a.mean(), ranks_b - ranks_b.mean()
    scale = float(np.sqrt((ranks_a**2).sum() * (ranks_b**2).sum()))
    return float((ranks_a * ranks_b).sum() / scale) if scale > 0 else float("nan")


def grouped_spearman(a: Floats, b: Floats, groups: Sequence[object]) -> float:
    """Mean over groups of the rank correlation inside a group; constant groups are left out.

    nan when no group is left.
    """
    members: dict[object, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    values = [spearman(a[rows], b[rows]) for rows in members.values() if len(rows) > 1]
    varied = [value for value in values if not math.isnan(value)]
    return sum(varied) / len(varied) if varied else math.nan


def rounded(value: float) -> float | None:
    """Four digits for a card; None (JSON null) where there is no number."""
    return None if math.isnan(value) else round(value, 4)


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = ((ends - counts + ends - 1) / 2.0)[inverse]
    return ranks


def _ratio(part: int, whole: int, empty: float) -> float:
    return part / whole if whole else empty


def _rounded(scores: dict[str, float | int]) -> dict[str, float | int]:
    return {name: round(value, 4) for name, value in scores.items()}
