"""Every pair of systems, paired by conversation, corrected for the number of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mint.evaluation.statistics.arrays import Floats
from mint.evaluation.statistics.bootstrap import (
    Interval,
    jackknife_interval,
    leave_one_out_counts,
    percentile_interval,
)
from mint.evaluation.statistics.multiple_tests import (
    benjamini_hochberg,
    bootstrap_p_value,
    holm,
    jackknife_p_value,
)
from mint.reproduction.sums import HEADLINE, REPETITION, Sums


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One metric of two systems on the same turns."""

    metric: str
    first: str
    second: str
    difference: float
    """second - first."""
    interval: Interval
    p_value: float
    """Two-sided, of this pair alone."""
    holm: float = float("nan")
    """Adjusted over all pairs of the metric; controls any false finding among them."""
    benjamini_hochberg: float = float("nan")
    """Adjusted over all pairs of the metric; controls the share of false findings."""


def compare_all(
    sums: Mapping[str, Sums], drawn_RC: Floats, confidence: float
) -> dict[str, tuple[Comparison, ...]]:
    """Metric -> all pairs, for the metrics of `HEADLINE`.

    Each resample draws the same conversations for both systems of a pair; for metrics of
    `REPETITION` each conversation is left out of both in turn. NaN where undefined.
    """
    once_1C = np.ones((1, drawn_RC.shape[1]))
    values_R = {name: one.headline_means(drawn_RC) for name, one in sums.items()}
    values = {name: one.headline(once_1C) for name, one in sums.items()}
    all_but_one_CC = leave_one_out_counts(drawn_RC.shape[1])
    without_C = {name: one.headline(all_but_one_CC) for name, one in sums.items()}
    result = {}
    for metric in HEADLINE:
        pairs = []
        for first, second in combinations(sums, 2):
            difference = float(values[second][metric][0] - values[first][metric][0])
            if metric in REPETITION:
                gained = without_C[second][metric] - without_C[first][metric]
                interval = jackknife_interval(difference, gained, confidence)
                p_value = jackknife_p_value(difference, gained)
            else:
                gained = values_R[second][metric] - values_R[first][metric]
                interval = percentile_interval(gained, confidence)
                p_value = bootstrap_p_value(gained)
            pairs.append(
                Comparison(
                    metric=metric,
                    first=first,
                    second=second,
                    difference=difference,
                    interval=interval,
                    p_value=p_value,
                )
            )
        p_values = [pair.p_value for pair in pairs]
        adjusted = zip(pairs, holm(p_values), benjamini_hochberg(p_values), strict=True)
        result[metric] = tuple(
            replace(pair, holm=strict, benjamini_hochberg=loose) for pair, strict, loose in adjusted
        )
    return result
