"""Repetition and variety on a model's own turns: each reply against the model's reply before it.

The replies to one conversation's turns, of one sample, form a sequence. A pair is a graded reply
and the graded reply to the turn before; formulas are those of `repetition` and `tactic_sets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics import tactic_sets
from mint.evaluation.metrics.repetition import (
    PAIR_COLUMNS,
    conversation_null,
    pair_sums,
    repetition,
)
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.arrays import Bools, Floats, divide, sum_by
from mint.evaluation.statistics.bootstrap import resample_counts
from mint.evaluation.statistics.estimates import (
    Difference,
    Estimate,
    Resampled,
    clusters_of,
    differences,
    shared_turns,
)

SHUFFLES = 1000
_JACKKNIFED = ("distinct_sets", "set_entropy", "self_stickiness", "self_lift")
"""Statistics whose intervals come from the jackknife (`Resampled.without`)."""


class Sequences(NamedTuple):
    """Tactic sets of graded replies (_N) and of neighbouring pairs (_P)."""

    now_NK: Bools
    index_N: NDArray[np.intp]
    """Cluster of each reply."""
    now_PK: Bools
    before_PK: Bools
    index_P: NDArray[np.intp]
    turn_P: NDArray[np.intp]
    sample_P: NDArray[np.intp]
    conversation_P: NDArray[np.intp]
    clusters: int


def sequences(
    replies: Sequence[EvaluatedReply], clusters: Sequence[str] | None = None
) -> Sequences:
    """The graded replies as tactic sets, and those that follow a graded reply as pairs.

    Clusters are numbered in the order of `clusters`; sorted by name when None.
    """
    graded = [reply for reply in replies if reply.graded]
    clusters = clusters_of(replies) if clusters is None else clusters
    names = {name: c for c, name in enumerate(clusters)}
    conversations = sorted({reply.conversation_id for reply in graded})
    places = {name: c for c, name in enumerate(conversations)}
    by_place = {(r.conversation_id, r.sample, r.turn): r for r in graded}
    pairs = [
        (reply, by_place[before])
        for reply in graded
        if (before := (reply.conversation_id, reply.sample, reply.turn - 1)) in by_place
    ]
    return Sequences(
        now_NK=tactic_sets.used([reply.counts for reply in graded]),
        index_N=np.array([names[r.cluster] for r in graded], dtype=np.intp),
        now_PK=tactic_sets.used([now.counts for now, _ in pairs]),
        before_PK=tactic_sets.used([before.counts for _, before in pairs]),
        index_P=np.array([names[now.cluster] for now, _ in pairs], dtype=np.intp),
        turn_P=np.array([now.turn for now, _ in pairs], dtype=np.intp),
        sample_P=np.array([now.sample for now, _ in pairs], dtype=np.intp),
        conversation_P=np.array([places[now.conversation_id] for now, _ in pairs], dtype=np.intp),
        clusters=len(names),
    )


def own_sequence(
    replies: Sequence[EvaluatedReply], settings: EvaluationConfig
) -> dict[str, Estimate]:
    """self_stickiness, self_lift, self_jaccard, same_set (shares of pairs), distinct_sets,
    set_entropy (bits) and effective_tactics, with intervals over clusters."""
    s = sequences(replies)
    found = _resampled(s, settings)
    return {
        name: found.estimate(name, _number(s, name), settings.confidence) for name in found.points
    }


def compare_own(
    before: Sequence[EvaluatedReply], after: Sequence[EvaluatedReply], settings: EvaluationConfig
) -> dict[str, Difference]:
    """Paired differences of the same statistics, on the turns graded on both sides; each resample
    draws the same clusters for both. {} when there is no such turn."""
    shared = shared_turns(before, after, lambda reply: reply.graded)
    if not shared.num_turns:
        return {}
    first, second = (
        _resampled(sequences(own, shared.clusters), settings)
        for own in (shared.before, shared.after)
    )
    return differences(first, second, shared, settings.confidence)


def own_sequence_null(
    replies: Sequence[EvaluatedReply], settings: EvaluationConfig
) -> dict[str, Any]:
    """What conversations that trade turns would give (`repetition.conversation_null`), and tactics
    in more than nine of ten replies."""
    s = sequences(replies)
    result: dict[str, Any] = {"always_on": tactic_sets.always_on(s.now_NK)}
    if len(s.now_PK) > 1:
        null = conversation_null(
            s.now_PK,
            s.before_PK,
            s.conversation_P,
            s.turn_P * (int(s.sample_P.max()) + 1) + s.sample_P,
            shuffles=SHUFFLES,
            seed=settings.seed,
        )
        result["null"] = {f"self_{name}": value._asdict() for name, value in null.items()}
    return result


def _resampled(s: Sequences, settings: EvaluationConfig) -> Resampled:
    columns_PM = np.hstack(
        [
            pair_sums(s.now_PK, s.before_PK),
            tactic_sets.jaccard(s.now_PK, s.before_PK)[:, None],
            tactic_sets.same_set(s.now_PK, s.before_PK)[:, None].astype(float),
            np.ones((len(s.now_PK), 1)),
        ]
    )
    parts = (
        sum_by(columns_PM, s.index_P, s.clusters),
        sum_by(s.now_NK.astype(float), s.index_N, s.clusters),
        tactic_sets.set_counts(s.now_NK, s.index_N, s.clusters),
    )
    drawn_RC = resample_counts(s.clusters, settings.resamples, settings.seed)
    points = _statistics(*(part.sum(axis=0, keepdims=True) for part in parts))
    without = _statistics(*(part.sum(axis=0, keepdims=True) - part for part in parts))
    return Resampled(
        points={name: float(value[0]) for name, value in points.items()},
        drawn=_statistics(*(drawn_RC @ part for part in parts)),
        without={name: without[name] for name in _JACKKNIFED},
        clusters=s.clusters,
        shares=frozenset({"same_set"}),
    )


def _number(s: Sequences, name: str) -> int:
    return len(s.now_PK) if name.startswith(("self_", "same_")) else len(s.now_NK)


def _statistics(sums_RM: Floats, uses_RK: Floats, sets_RS: Floats) -> dict[str, Floats]:
    rates = repetition(sums_RM[:, :PAIR_COLUMNS])
    jaccard, same, pairs = sums_RM[:, PAIR_COLUMNS:].T
    return {
        "self_stickiness": rates.stickiness,
        "self_lift": rates.lift,
        "self_jaccard": divide(jaccard, pairs),
        "same_set": divide(same, pairs),
        "distinct_sets": tactic_sets.num_sets(sets_RS),
        "set_entropy": tactic_sets.set_entropy(sets_RS),
        "effective_tactics": tactic_sets.effective_tactics(uses_RK),
    }
