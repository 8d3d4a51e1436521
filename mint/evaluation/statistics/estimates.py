"""Values with intervals that follow clusters: of one model, and of two models compared.

A cluster is a scenario where the data say which, else a conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.arrays import Floats
from mint.evaluation.statistics.bootstrap import (
    UNKNOWN,
    Interval,
    jackknife_interval,
    none_or_all,
    none_or_all_difference,
    percentile_interval,
    resample_counts,
)
from mint.evaluation.statistics.multiple_tests import bootstrap_p_value, jackknife_p_value

ENOUGH_CLUSTERS = 20
"""With fewer, intervals from resampling cover less than they say."""


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
    """A metric of two models on the turns for which both have a value."""

    before: float | None
    after: float | None
    difference: float | None
    """after - before."""
    ci_low: float | None
    ci_high: float | None
    num_conversations: int
    num_turns: int
    num_clusters: int = 0
    """Scenarios or conversations that the interval resamples."""
    p_value: float | None = None
    """Two-sided, of this difference alone; None where it has no interval."""


NO_DIFFERENCE = Difference(
    before=None,
    after=None,
    difference=None,
    ci_low=None,
    ci_high=None,
    num_conversations=0,
    num_turns=0,
)
"""Of a metric that no turn has on both sides."""


class Resampled(NamedTuple):
    """Statistics of the replies of `clusters` scenarios or conversations, by name."""

    points: dict[str, float]
    """NaN where undefined."""
    drawn: dict[str, Floats]
    """Values over bootstrap resamples of the clusters."""
    without: dict[str, Floats]
    """Values without each cluster, for statistics whose intervals come from the jackknife. Those
    of what occurs at all: a bootstrap draws clusters twice and thereby loses sets and invents
    repetition. And repetition of tactics: a rare one is missing from many resamples, so that
    percentile intervals cover too little."""
    clusters: int
    shares: frozenset[str] = frozenset()
    """Statistics that are a share of replies, whose interval at 0 and 1 is Wilson's."""

    def interval(self, name: str, confidence: float) -> Interval:
        """The interval of a statistic; unknown for a single cluster, which resamples to itself: an
        interval of width 0 would claim certainty."""
        if name in self.shares:
            at_end = none_or_all(self.points[name], self.clusters, confidence)
            if at_end is not None:
                return at_end
        if name in self.without:
            return jackknife_interval(self.points[name], self.without[name], confidence)
        if self.clusters < 2:
            return UNKNOWN
        return percentile_interval(self.drawn[name], confidence)

    def p_value(self, name: str) -> float:
        """Of "the statistic is 0"; NaN where the data do not determine it."""
        if name in self.without:
            return jackknife_p_value(self.points[name], self.without[name])
        return bootstrap_p_value(self.drawn[name])

    def estimate(self, name: str, n: int, confidence: float) -> Estimate:
        """A statistic that is computed from `n` replies."""
        mean = _known(self.points[name])
        low, high = _known_interval(self, name, confidence)
        return Estimate(mean=mean, ci_low=low, ci_high=high, n=n)


class Shared(NamedTuple):
    """Replies of two models to the same turns."""

    before: list[EvaluatedReply]
    after: list[EvaluatedReply]
    clusters: list[str]
    num_conversations: int
    num_turns: int


def shared_turns(
    before: Sequence[EvaluatedReply],
    after: Sequence[EvaluatedReply],
    counts: Callable[[EvaluatedReply], bool],
) -> Shared:
    """The replies that count to (conversation, turn)s for which both have one that counts.

    A turn that only one side has a value for says nothing about their difference: whoever falls
    silent on the hard turns would gain by it.
    """
    known = {r.conversation_id: r.scenario for r in (*before, *after) if r.scenario}
    kept = [
        [_of_scenario(reply, known) for reply in side if counts(reply)] for side in (before, after)
    ]
    first, second = ({(r.conversation_id, r.turn) for r in side} for side in kept)
    shared = first & second
    before, after = ([r for r in s if (r.conversation_id, r.turn) in shared] for s in kept)
    return Shared(
        before=before,
        after=after,
        clusters=sorted({reply.cluster for reply in (*before, *after)}),
        num_conversations=len({conversation for conversation, _ in shared}),
        num_turns=len(shared),
    )


def _of_scenario(reply: EvaluatedReply, known: Mapping[str, str]) -> EvaluatedReply:
    """The reply with the scenario that the other side's replies may tell."""
    if reply.scenario or reply.conversation_id not in known:
        return reply
    return replace(reply, scenario=known[reply.conversation_id])


def clusters_of(replies: Sequence[EvaluatedReply]) -> list[str]:
    """The scenarios, or conversations where the data do not say them, in order."""
    return sorted({reply.cluster for reply in replies})


def few_clusters(clusters: int) -> str:
    """What to say about intervals from so many clusters; "" when they are enough."""
    if clusters >= ENOUGH_CLUSTERS:
        return ""
    return (
        f"Intervals rest on {clusters} independent scenarios or conversations, fewer than "
        f"{ENOUGH_CLUSTERS}: they are likely too narrow."
    )


def differences(
    before: Resampled, after: Resampled, shared: Shared, confidence: float
) -> dict[str, Difference]:
    """Paired differences; each resample has drawn the same clusters for both."""
    gained = Resampled(
        points={name: after.points[name] - before.points[name] for name in before.points},
        drawn={name: after.drawn[name] - before.drawn[name] for name in before.drawn},
        without={name: after.without[name] - before.without[name] for name in before.without},
        clusters=before.clusters,
    )
    result = {}
    for name, value in gained.points.items():
        low, high = _known_interval(gained, name, confidence)
        if name in before.shares:
            ends = (before.points[name], after.points[name])
            at_end = none_or_all_difference(*ends, gained.clusters, confidence)
            low, high = (low, high) if at_end is None else at_end
        result[name] = Difference(
            before=_known(before.points[name]),
            after=_known(after.points[name]),
            difference=_known(value),
            ci_low=low,
            ci_high=high,
            num_conversations=shared.num_conversations,
            num_turns=shared.num_turns,
            num_clusters=gained.clusters,
            p_value=None if low is None else _known(gained.p_value(name)),
        )
    return result


def clustered_mean(
    values: Sequence[tuple[str, float]], settings: EvaluationConfig, *, share: bool = False
) -> Estimate:
    """Mean of (cluster, value) with an interval from resampled clusters.

    `share`: the mean is a share, of values in [0, 1].
    """
    names = {name: c for c, name in enumerate(sorted({name for name, _ in values}))}
    sums_C2 = np.zeros((len(names), 2))
    for name, value in values:
        sums_C2[names[name]] += (value, 1.0)
    totals_R2 = resample_counts(len(names), settings.resamples, settings.seed) @ sums_C2
    total, number = sums_C2.sum(axis=0)
    drawn = {"mean": totals_R2[:, 0] / totals_R2[:, 1]}
    found = Resampled(
        {"mean": float(total / number)}, drawn, {}, len(names), frozenset({"mean"} if share else ())
    )
    return found.estimate("mean", int(number), settings.confidence)


def _known_interval(found: Resampled, name: str, confidence: float) -> Interval:
    return found.interval(name, confidence) if np.isfinite(found.points[name]) else UNKNOWN


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
