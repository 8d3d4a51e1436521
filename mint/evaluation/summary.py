"""From evaluated replies to numbers with intervals: of one model, and of two models compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mint.config.evaluation import EvaluationConfig
from mint.evaluation import pooled
from mint.evaluation.bootstrap import (
    UNKNOWN,
    Interval,
    jackknife_interval,
    percentile_interval,
    resample_counts,
)
from mint.evaluation.metrics import Floats, conversation_sums, counted, estimates
from mint.evaluation.records import EvaluatedReply
from rewards.errors import DataError

_POOLED: Mapping[str, Callable[[Sequence[EvaluatedReply], Sequence[str]], Floats]] = {
    "distinct_2": pooled.distinct_2,
    "top_opening": pooled.top_opening,
}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A metric with its confidence interval; None where it is undefined."""

    mean: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    """Replies it is computed from."""

    @property
    def interval(self) -> str:
        """ "[0.123, 0.456]" for people."""
        if self.ci_low is None or self.ci_high is None:
            return "(no interval)"
        return f"[{self.ci_low:.3f}, {self.ci_high:.3f}]"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric of two models on the turns both have answered."""

    before: float | None
    after: float | None
    difference: float | None
    """after - before."""
    ci_low: float | None
    ci_high: float | None
    num_conversations: int
    num_turns: int


def summarise(replies: Sequence[EvaluatedReply], settings: EvaluationConfig) -> dict[str, Estimate]:
    """Metric -> mean and interval, for all metrics. Raises DataError when there is no reply."""
    if not replies:
        raise DataError("there is no reply to summarise")
    conversations = sorted({reply.conversation_id for reply in replies})
    sums_CM = conversation_sums(replies, conversations)
    n = counted(sums_CM)
    point, resampled = _point_and_resamples(sums_CM, settings)
    result = {}
    for name in point:
        interval = _percentile(resampled[name], len(conversations), settings)
        result[name] = _estimate(point[name], interval, n[name])
    num_graded = sum(reply.graded for reply in replies)
    for name, statistic in _POOLED.items():
        values = statistic(replies, conversations)
        interval = jackknife_interval(values[0], values[1:], settings.confidence)
        result[name] = _estimate(values[0], interval, num_graded)
    return result


def clustered_mean(values: Sequence[tuple[str, float]], settings: EvaluationConfig) -> Estimate:
    """Mean of (conversation, value) with an interval from resampled conversations."""
    names = {name: c for c, name in enumerate(sorted({name for name, _ in values}))}
    sums_C2 = np.zeros((len(names), 2))
    for name, value in values:
        sums_C2[names[name]] += (value, 1.0)
    totals_R2 = resample_counts(len(names), settings.resamples, settings.seed) @ sums_C2
    value, number = sums_C2.sum(axis=0)
    interval = _percentile(totals_R2[:, 0] / totals_R2[:, 1], len(names), settings)
    return _estimate(value / number, interval, int(number))


def compare(
    before: Sequence[EvaluatedReply], after: Sequence[EvaluatedReply], settings: EvaluationConfig
) -> dict[str, Difference]:
    """Metric -> paired difference on the (conversation, turn)s both models have answered.

    Each resample draws the same conversations for both. Raises DataError when they share none.
    """
    shared = {_turn(reply) for reply in before} & {_turn(reply) for reply in after}
    if not shared:
        raise DataError("the two evaluations share no conversation turn, so nothing compares")
    before = [reply for reply in before if _turn(reply) in shared]
    after = [reply for reply in after if _turn(reply) in shared]
    conversations = sorted({conversation for conversation, _ in shared})
    points, resamples = zip(
        *(
            _point_and_resamples(conversation_sums(replies, conversations), settings)
            for replies in (before, after)
        ),
        strict=True,
    )
    result = {}
    for name in points[0]:
        gained = resamples[1][name] - resamples[0][name]
        interval = _percentile(gained, len(conversations), settings)
        result[name] = _difference(points[0][name], points[1][name], interval, shared)
    for name, statistic in _POOLED.items():
        first, second = (statistic(replies, conversations) for replies in (before, after))
        gained = second - first
        interval = jackknife_interval(gained[0], gained[1:], settings.confidence)
        result[name] = _difference(first[0], second[0], interval, shared)
    return result


def _point_and_resamples(
    sums_CM: Floats, settings: EvaluationConfig
) -> tuple[dict[str, float], dict[str, Floats]]:
    # Seed and size alone decide the draw, so both sides of a comparison get the same one.
    counts_RC = resample_counts(len(sums_CM), settings.resamples, settings.seed)
    point = estimates(sums_CM.sum(axis=0, keepdims=True))
    return {name: float(v[0]) for name, v in point.items()}, estimates(counts_RC @ sums_CM)


def _percentile(values_R: Floats, num_conversations: int, settings: EvaluationConfig) -> Interval:
    # A single conversation resamples to itself: an interval of width 0 would claim certainty.
    if num_conversations < 2:
        return UNKNOWN
    return percentile_interval(values_R, settings.confidence)


def _estimate(value: float, interval: Interval, n: int) -> Estimate:
    if not np.isfinite(value):
        return Estimate(mean=None, ci_low=None, ci_high=None, n=n)
    return Estimate(mean=float(value), ci_low=interval.low, ci_high=interval.high, n=n)


def _difference(
    before: float, after: float, interval: Interval, shared: set[tuple[str, int]]
) -> Difference:
    defined = bool(np.isfinite(before) and np.isfinite(after))
    low, high = interval if defined else UNKNOWN
    return Difference(
        before=float(before) if np.isfinite(before) else None,
        after=float(after) if np.isfinite(after) else None,
        difference=float(after - before) if defined else None,
        ci_low=low,
        ci_high=high,
        num_conversations=len({conversation for conversation, _ in shared}),
        num_turns=len(shared),
    )


def _turn(reply: EvaluatedReply) -> tuple[str, int]:
    return reply.conversation_id, reply.turn
