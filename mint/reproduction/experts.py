"""How well the judge agrees with the experts who rated the people's conversations.

Each expert rates a conversation once, the judge rates its turns; the judge's mean over turns is
compared with the median expert. Spearman uses the mean as it is, kappa the nearest whole rating.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from mint.evaluation.statistics.agreement import round_half_up, spearman, weighted_kappa
from mint.evaluation.statistics.arrays import Floats, divide, sum_by
from mint.evaluation.statistics.bootstrap import Interval, percentile_interval, resample_counts
from mint.reproduction.panel import Panel
from mint.reproduction.read import rating, read_csv
from mint.reproduction.settings import ReproduceSettings
from rewards.errors import DataError
from rewards.types import DIMENSIONS

EXPERTS = Path("data/lend_an_ear_eval/expert_ratings")
_LEVELS = (1, 2, 3, 4, 5)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Judge and experts on one dimension."""

    dimension: str
    spearman: float
    spearman_interval: Interval
    kappa: float
    kappa_interval: Interval
    between_experts: float
    """Mean Spearman correlation of two experts."""


def read_experts(upstream: Path, conversations: tuple[str, ...]) -> Floats | None:
    """[E, C, D] ratings of every expert file, or None when there is no file.

    Raises DataError for a conversation that an expert did not rate, rated twice or that is
    unknown, and for a rating that is no number from 1 to 5.
    """
    files = sorted((upstream / EXPERTS).glob("*.csv"))
    if not files:
        return None
    return np.array([_read_expert(file, conversations) for file in files])


def _read_expert(file: Path, conversations: tuple[str, ...]) -> list[list[float]]:
    rows: dict[str, list[float]] = {}
    for line, row in read_csv(file, ("conversation_id", *DIMENSIONS)):
        where, name = f"{file}:{line}", row["conversation_id"]
        if name in rows:
            raise DataError(f"{where}: conversation {name} is rated twice")
        if name not in conversations:
            raise DataError(f"{where}: conversation {name} is not among the released turns")
        rows[name] = [rating(row[d], d, where) for d in DIMENSIONS]
        if not np.isfinite(rows[name]).all():
            raise DataError(f"{where}: conversation {name} lacks a rating")
    absent = [name for name in conversations if name not in rows]
    if absent:
        raise DataError(f"{file}: conversation {absent[0]} is not rated")
    return [rows[name] for name in conversations]


def agreement(
    panel: Panel, experts_ECD: Floats, settings: ReproduceSettings
) -> tuple[Agreement, ...]:
    """Agreement on the people's turns, one entry a dimension."""
    ratings_ND, turns = panel.reference.ratings_ND, panel.turns
    known_ND = np.isfinite(ratings_ND)
    groups, confidence = len(turns.conversations), settings.confidence
    drawn_RC = resample_counts(groups, settings.resamples, settings.seed)
    judge_CD = divide(
        sum_by(np.where(known_ND, ratings_ND, 0.0), turns.index_N, groups),
        sum_by(known_ND.astype(float), turns.index_N, groups),
    )
    expert_CD = np.median(experts_ECD, axis=0)
    result = []
    for d, name in enumerate(DIMENSIONS):
        judge_C, expert_C = judge_CD[:, d], expert_CD[:, d]
        rounded = round_half_up(judge_C), round_half_up(expert_C), _LEVELS
        result.append(
            Agreement(
                dimension=name,
                spearman=float(spearman(judge_C, expert_C)[0]),
                spearman_interval=percentile_interval(
                    spearman(judge_C, expert_C, drawn_RC), confidence
                ),
                kappa=float(weighted_kappa(*rounded)[0]),
                kappa_interval=percentile_interval(weighted_kappa(*rounded, drawn_RC), confidence),
                between_experts=_between(experts_ECD[:, :, d]),
            )
        )
    return tuple(result)


def _between(ratings_EC: Floats) -> float:
    pairs = [float(spearman(a, b)[0]) for a, b in combinations(ratings_EC, 2)]
    return float(np.mean(pairs)) if pairs else float("nan")
