"""Figures of the metric cards: agreement of heads with labels they were not fitted on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

RESAMPLES = 1000
THRESHOLDS = np.concatenate([[0.01, 0.02, 0.03, 0.05, 0.075], np.linspace(0.1, 0.9, 33)])
"""Cut-offs that are tried; fine at the low end, where those of rare tactics lie."""


def tactic_scores(truth: Bools, found: Bools) -> dict[str, NDArray[Any]]:
    """Precision, recall and F1 of class 1, and macro-F1 = mean F1 of both classes, in [0, 1].

    Arrays [sentences, ...]; each score has the rest of their shape. A ratio with an empty
    denominator is 0, except the F1 of a class that neither side uses: 1.
    """
    return _scores(*(cell.sum(axis=0) for cell in _cells(truth, found)))


def resampled_scores(
    truth: Bools, found: Bools, groups: Sequence[object], seed: int
) -> dict[str, NDArray[Any]]:
    """`tactic_scores` [resamples, tactics] under resampling of whole groups."""
    names = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    member = np.array([names[group] for group in groups])
    counts = np.zeros((4, len(names), truth.shape[1]))
    for count, cell in zip(counts, _cells(truth, found), strict=True):
        np.add.at(count, member, cell)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    return _scores(*(weights @ cell for cell in counts))


def best_thresholds(truth: Bools, probabilities: Floats, parts: Sequence[Bools] = ()) -> Floats:
    """For each tactic (column), the probability cut-off in `THRESHOLDS` with the best macro-F1.

    With `parts`, masks [sentences], the best mean over parts, each counting the same.
    """
    chosen = parts or (np.ones(len(truth), bool),)
    best = []
    for wanted, stated in zip(truth.T, probabilities.T, strict=True):
        found = stated[:, None] >= THRESHOLDS
        scores = [tactic_scores(wanted[own, None], found[own])["macro_f1"] for own in chosen]
        best.append(THRESHOLDS[np.argmax(np.mean(scores, axis=0))])
    return np.array(best)


def calibration_error(truth: Bools, probabilities: Floats, bins: int = 10) -> float:
    """Mean distance of stated probability and frequency, over ten bins and all tactics."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = np.bincount(place.ravel(), (probabilities - truth).ravel(), minlength=bins)
    return float(np.abs(gaps).sum() / truth.size)


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation in [-1, 1] with ties averaged; nan when one side is constant."""
    if not (np.ptp(a) and np.ptp(b)):
        return math.nan
    return float(spearmanr(a, b).statistic)


def grouped_spearman(a: Floats, b: Floats, groups: Sequence[object]) -> float:
    """Mean over groups of the rank correlation inside a group; constant groups are left out.

    nan when no group is left.
    """
    members: dict[object, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    values = [spearman(a[rows], b[rows]) for rows in members.values()]
    varied = [value for value in values if not math.isnan(value)]
    return sum(varied) / len(varied) if varied else math.nan


def partial_spearman(a: Floats, b: Floats, given: Floats) -> float:
    """Rank correlation of a and b after the ranks of `given` [n, covariates] are regressed out."""
    design = np.column_stack([np.ones(len(a)), rankdata(given, axis=0)])
    ranks = np.column_stack([rankdata(a), rankdata(b)])
    x, y = (ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]).T
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def coverage(truth: Floats, found: Floats, uncertainty: Floats) -> float:
    """Share of ratings within 1.96 of the stated standard deviations, in [0, 1]."""
    return float((np.abs(truth - found) <= 1.96 * uncertainty).mean())


def rounded(value: float) -> float | None:
    """Four digits for a card; None (JSON null) where there is no number."""
    return None if math.isnan(value) else round(float(value), 4)


def _cells(truth: Bools, found: Bools) -> tuple[Bools, Bools, Bools, Bools]:
    return truth & found, ~truth & found, truth & ~found, ~truth & ~found


def _scores(
    tp: NDArray[Any], fp: NDArray[Any], fn: NDArray[Any], tn: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    f1, other_f1 = _ratio(2 * tp, 2 * tp + fp + fn, 1.0), _ratio(2 * tn, 2 * tn + fp + fn, 1.0)
    return {
        "positives": tp + fn,
        "precision": _ratio(tp, tp + fp, 0.0),
        "recall": _ratio(tp, tp + fn, 0.0),
        "f1": f1,
        "macro_f1": (f1 + other_f1) / 2,
    }


def _ratio(part: NDArray[Any], whole: NDArray[Any], empty: float) -> NDArray[Any]:
    return np.where(whole > 0, part / np.maximum(whole, 1), empty)
