"""What the metric cards report: agreement with labels a fit never saw, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import cohen_kappa_score

from rewards.fitting.metrics import (
    Bools,
    Floats,
    grouped_spearman,
    rounded,
    spearman,
    tactic_scores,
)
from rewards.graders.embedded.judge import OUTPUTS
from rewards.tactics import TACTIC_INDEX, TACTIC_NAMES

NEIGHBOURS = (
    ("validation", "emotional_expression"),
    ("advice", "information"),
    ("validation", "paraphrasing"),
    ("empowerment", "reappraisal"),
)
"""Pairs of tactics that are easily mistaken for each other."""
RESAMPLES = 1000
FREQUENT = 20
"""Positives below which a tactic's F1 says more about chance than about the tagger."""


def tagging_card(
    truth: Bools, found: Bools, groups: Sequence[object], seed: int = 0
) -> dict[str, Any]:
    """Scores of each tactic with 95 % intervals, kappa, and confusion between neighbours.

    Arrays [sentences, tactics]; intervals resample whole `groups` (replies or conversations).
    """
    tactics = {}
    draws = _draws(truth, found, groups, seed)
    for k, name in enumerate(TACTIC_NAMES):
        scores = tactic_scores(truth[:, k], found[:, k])
        tactics[name] = {
            **{key: round(value, 4) for key, value in scores.items()},
            "kappa": rounded(_kappa(truth[:, k], found[:, k])),
            "f1_interval": _interval(draws["f1"][:, k]),
            "macro_f1_interval": _interval(draws["macro_f1"][:, k]),
        }
    return {
        "sentences": len(truth),
        "mean_macro_f1": round(float(np.mean([t["macro_f1"] for t in tactics.values()])), 4),
        "mean_macro_f1_interval": _interval(draws["macro_f1"].mean(axis=1)),
        "mean_macro_f1_of_frequent": _frequent_mean(tactics),
        "mean_kappa": rounded(float(np.mean([t["kappa"] or 0.0 for t in tactics.values()]))),
        "tactics": tactics,
        "confusion": [_confusion(truth, found, a, b) for a, b in NEIGHBOURS],
    }


def judge_card(
    truth: Floats,
    found: Floats,
    prompts: Sequence[object],
    systems: Sequence[object],
) -> dict[str, Any]:
    """Rank correlations of ratings [replies, outputs] overall, inside a prompt and a system."""
    a, b = truth[:, -1], found[:, -1]
    return {
        "replies": len(truth),
        "spearman": {
            name: rounded(spearman(truth[:, i], found[:, i])) for i, name in enumerate(OUTPUTS)
        },
        "within_prompt": {
            name: rounded(grouped_spearman(truth[:, i], found[:, i], prompts))
            for i, name in enumerate(OUTPUTS)
        },
        "aggregate_within_system": rounded(grouped_spearman(a, b, systems)),
        "aggregate_mean_absolute_error": round(float(np.abs(a - b).mean()), 4),
    }


def partial_spearman(a: Floats, b: Floats, given: Floats) -> float:
    """Rank correlation of a and b after the ranks of `given` [n, covariates] are regressed out."""
    columns = [np.ones(len(a)), *(rankdata(column) for column in given.T)]
    design = np.stack(columns, axis=1)

    def rest(values: Floats) -> Floats:
        ranks = rankdata(values)
        fitted: Floats = ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
        return fitted

    x, y = rest(a), rest(b)
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def coverage(truth: Floats, found: Floats, uncertainty: Floats) -> float:
    """Share of ratings within 1.96 of the stated standard deviations, in [0, 1]."""
    return float((np.abs(truth - found) <= 1.96 * uncertainty).mean())


def _frequent_mean(tactics: dict[str, Any]) -> float | None:
    """Mean macro-F1 of the tactics that are not too rare to measure."""
    values = [t["macro_f1"] for t in tactics.values() if t["positives"] >= FREQUENT]
    return round(float(np.mean(values)), 4) if values else None


def _draws(
    truth: Bools, found: Bools, groups: Sequence[object], seed: int
) -> dict[str, NDArray[np.float64]]:
    """F1 and macro-F1 [resamples, tactics] under resampling of whole groups."""
    names = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    member = np.array([names[group] for group in groups])
    counts = np.zeros((4, len(names), truth.shape[1]))
    for i, cell in enumerate((truth & found, ~truth & found, truth & ~found, ~truth & ~found)):
        np.add.at(counts[i], member, cell)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    tp, fp, fn, tn = (weights @ cell for cell in counts)
    positive, negative = _f1(tp, fp, fn), _f1(tn, fn, fp)
    return {"f1": positive, "macro_f1": (positive + negative) / 2}


def _f1(
    hit: NDArray[np.float64], extra: NDArray[np.float64], missed: NDArray[np.float64]
) -> NDArray[np.float64]:
    total = 2 * hit + extra + missed
    return np.where(total > 0, 2 * hit / np.maximum(total, 1), 1.0)


def _interval(values: NDArray[np.float64]) -> list[float]:
    return [round(float(v), 4) for v in np.quantile(values, (0.025, 0.975))]


def _kappa(truth: Bools, found: Bools) -> float:
    if truth.all() == found.all() and (truth == found).all():
        return 1.0
    return float(cohen_kappa_score(truth, found))


def _confusion(truth: Bools, found: Bools, first: str, second: str) -> dict[str, Any]:
    """Among sentences that carry one of two tactics, how often the other one is said instead."""
    a, b = TACTIC_INDEX[first], TACTIC_INDEX[second]
    only_a, only_b = truth[:, a] & ~truth[:, b], truth[:, b] & ~truth[:, a]
    instead_b = only_a & found[:, b] & ~found[:, a]
    instead_a = only_b & found[:, a] & ~found[:, b]
    return {
        "pair": [first, second],
        f"{first}_said_to_be_{second}": _share(instead_b, only_a),
        f"{second}_said_to_be_{first}": _share(instead_a, only_b),
    }


def _share(part: Bools, whole: Bools) -> float | None:
    return round(float(part.sum() / whole.sum()), 4) if whole.any() else None
