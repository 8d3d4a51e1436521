"""All metrics of evaluated replies with their intervals: of one model, and of two compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics import pooled
from mint.evaluation.metrics.means import conversation_sums, counted, estimates
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.arrays import Floats
from mint.evaluation.statistics.bootstrap import resample_counts
from mint.evaluation.statistics.estimates import (
    Difference,
    Estimate,
    Resampled,
    differences,
    shared_turns,
)
from rewards.errors import DataError

_POOLED: Mapping[str, Callable[[Sequence[EvaluatedReply], Sequence[str]], Floats]] = {
    "distinct_2": pooled.distinct_2,
    "top_opening": pooled.top_opening,
}


def summarise(replies: Sequence[EvaluatedReply], settings: EvaluationConfig) -> dict[str, Estimate]:
    """Metric -> mean and interval, for all metrics. Raises DataError when there is no reply."""
    if not replies:
        raise DataError("there is no reply to summarise")
    conversations = sorted({reply.conversation_id for reply in replies})
    sums_CM = conversation_sums(replies, conversations)
    found = _resampled(replies, conversations, sums_CM, settings)
    n = {**dict.fromkeys(_POOLED, sum(reply.graded for reply in replies)), **counted(sums_CM)}
    return {name: found.estimate(name, n[name], settings.confidence) for name in found.points}


def compare(
    before: Sequence[EvaluatedReply], after: Sequence[EvaluatedReply], settings: EvaluationConfig
) -> dict[str, Difference]:
    """Metric -> paired difference on the (conversation, turn)s both models have answered.

    Each resample draws the same conversations for both. Raises DataError when they share none.
    """
    shared = shared_turns(before, after)
    if not shared.num_turns:
        raise DataError("the two evaluations share no conversation turn, so nothing compares")
    first, second = (
        _resampled(
            own, shared.conversations, conversation_sums(own, shared.conversations), settings
        )
        for own in (shared.before, shared.after)
    )
    return differences(first, second, shared.num_turns, settings.confidence)


def _resampled(
    replies: Sequence[EvaluatedReply],
    conversations: Sequence[str],
    sums_CM: Floats,
    settings: EvaluationConfig,
) -> Resampled:
    # Seed and size alone decide the draw, so both sides of a comparison get the same one.
    counts_RC = resample_counts(len(sums_CM), settings.resamples, settings.seed)
    point = estimates(sums_CM.sum(axis=0, keepdims=True))
    shared = {name: statistic(replies, conversations) for name, statistic in _POOLED.items()}
    return Resampled(
        points={name: float(values[0]) for name, values in {**point, **shared}.items()},
        drawn=estimates(counts_RC @ sums_CM),
        without={name: values[1:] for name, values in shared.items()},
        conversations=len(conversations),
    )
