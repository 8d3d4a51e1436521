"""How well a head tells classes: accuracy and F1, macro and weighted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mint.safety.statistics import wilson

CONFIDENCE = 0.95
CUT = 0.3
"""Chance from which a class counts as told, of a head that may tell several (a usual choice for
GoEmotions, whose comments have 1.2 classes)."""


def single_label(truth: Sequence[int], told: Sequence[int], classes: int) -> dict[str, Any]:
    """Accuracy with Wilson's interval, macro-F1 over the classes that occur, weighted F1.

    F1 of a class that is told and never true counts as absent; all in [0, 1]. None without data.
    """
    true_N, told_N = np.asarray(truth, dtype=int), np.asarray(told, dtype=int)
    hits = int((true_N == told_N).sum())
    accuracy = wilson(hits, len(true_N), CONFIDENCE)
    f1_C, support_C = _f1(np.eye(classes)[true_N], np.eye(classes)[told_N])
    return {
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        **_means(f1_C, support_C),
        "num": len(true_N),
    }


def multi_label(truth_NC: np.ndarray, chance_NC: np.ndarray) -> dict[str, Any]:
    """F1 of classes told with a chance of at least CUT; `accuracy` is that of the likeliest class
    among the true ones."""
    told_NC = (chance_NC >= CUT).astype(float)
    f1_C, support_C = _f1(truth_NC, told_NC)
    best_N = chance_NC.argmax(axis=1)
    hits = int(truth_NC[np.arange(len(truth_NC)), best_N].sum())
    accuracy = wilson(hits, len(truth_NC), CONFIDENCE)
    return {
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        **_means(f1_C, support_C),
        "num": len(truth_NC),
    }


def _f1(truth_NC: np.ndarray, told_NC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both_C = (truth_NC * told_NC).sum(axis=0)
    support_C, said_C = truth_NC.sum(axis=0), told_NC.sum(axis=0)
    total_C = support_C + said_C
    return np.divide(2 * both_C, total_C, out=np.zeros_like(both_C), where=total_C > 0), support_C


def _means(f1_C: np.ndarray, support_C: np.ndarray) -> dict[str, float | None]:
    there_C = support_C > 0
    if not there_C.any():
        return {"macro_f1": None, "weighted_f1": None}
    weighted = float((f1_C * support_C).sum() / support_C.sum())
    return {"macro_f1": float(f1_C[there_C].mean()), "weighted_f1": weighted}
