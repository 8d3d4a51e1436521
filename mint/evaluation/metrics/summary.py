"""All metrics of evaluated replies with their intervals: of one model, and of two compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics import pooled
from mint.evaluation.metrics.means import (
    REPETITION,
    SHARES,
    WITH_SILENCE,
    cluster_sums,
    counted,
    estimates,
)
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.arrays import Floats
from mint.evaluation.statistics.bootstrap import resample_counts
from mint.evaluation.statistics.estimates import (
    NO_DIFFERENCE,
    Difference,
    Estimate,
    Resampled,
    Shared,
    clusters_of,
    differences,
    shared_turns,
)
from rewards.errors import DataError
from rewards.types import Status

_Counts = Callable[[EvaluatedReply], bool]
_POOLED: Mapping[str, Callable[[Sequence[EvaluatedReply], Sequence[str]], Floats]] = {
    "distinct_2": pooled.distinct_2,
    "top_opening": pooled.top_opening,
}


def summarise(replies: Sequence[EvaluatedReply], settings: EvaluationConfig) -> dict[str, Estimate]:
    """Metric -> mean and interval, for all metrics. Raises DataError when there is no reply."""
    if not replies:
        raise DataError("there is no reply to summarise")
    clusters = clusters_of(replies)
    sums_CM = cluster_sums(replies, clusters)
    found = _resampled(replies, clusters, sums_CM, settings)
    n = {**dict.fromkeys(_POOLED, sum(reply.graded for reply in replies)), **counted(sums_CM)}
    return {name: found.estimate(name, n[name], settings.confidence) for name in found.points}


def compare(
    before: Sequence[EvaluatedReply], after: Sequence[EvaluatedReply], settings: EvaluationConfig
) -> dict[str, Difference]:
    """Metric -> paired difference on the (conversation, turn)s that both models have it for.

    Most metrics need a grade on both sides; `_COUNTS` names those that do not. Each resample draws
    the same clusters for both. Raises DataError when the models share no turn.
    """
    kinds: tuple[_Counts, ...] = (_any, _known, _graded)
    found = {kind: _paired(shared_turns(before, after, kind), settings) for kind in kinds}
    if not found[_any]:
        raise DataError("the two evaluations share no conversation turn, so nothing compares")
    return {
        name: found[_COUNTS.get(name, _graded)].get(name, NO_DIFFERENCE) for name in found[_any]
    }


def _any(reply: EvaluatedReply) -> bool:
    return True


def _known(reply: EvaluatedReply) -> bool:
    """Graded, or silent, which is known to be bad."""
    return reply.status != Status.FAILED


def _graded(reply: EvaluatedReply) -> bool:
    return reply.graded


_COUNTS: Mapping[str, _Counts] = {
    **dict.fromkeys(("num_tokens", "truncated", "empty", "failed"), _any),
    **dict.fromkeys(("composite", WITH_SILENCE), _known),
}
"""Metric -> which replies it is paired on, where not on graded ones."""


def _paired(shared: Shared, settings: EvaluationConfig) -> dict[str, Difference]:
    """All metrics on shared turns; {} without any."""
    if not shared.num_turns:
        return {}
    first, second = (
        _resampled(own, shared.clusters, cluster_sums(own, shared.clusters), settings)
        for own in (shared.before, shared.after)
    )
    return differences(first, second, shared, settings.confidence)


def _resampled(
    replies: Sequence[EvaluatedReply],
    clusters: Sequence[str],
    sums_CM: Floats,
    settings: EvaluationConfig,
) -> Resampled:
    # Seed and size alone decide the draw, so both sides of a comparison get the same one.
    counts_RC = resample_counts(len(sums_CM), settings.resamples, settings.seed)
    point = estimates(sums_CM.sum(axis=0, keepdims=True))
    left_out = estimates(sums_CM.sum(axis=0, keepdims=True) - sums_CM)
    shared = {name: statistic(replies, clusters) for name, statistic in _POOLED.items()}
    return Resampled(
        points={name: float(values[0]) for name, values in {**point, **shared}.items()},
        drawn=estimates(counts_RC @ sums_CM),
        without={
            **{name: values[1:] for name, values in shared.items()},
            **{name: left_out[name] for name in REPETITION},
        },
        clusters=len(clusters),
        shares=frozenset((*SHARES, "top_opening")),
    )
