"""Where a difference of the composite reward comes from: its terms, which add up to it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.estimates import shared_turns
from rewards.formula import RewardWeights
from rewards.terms import raw_terms
from rewards.types import Signals, Status, scaled_rating


def gains(
    before: Sequence[EvaluatedReply], after: Sequence[EvaluatedReply], weights: RewardWeights
) -> dict[str, float]:
    """Term of `rewards.terms.raw_terms` -> its part of the difference of the mean composite on
    the turns that both have; {} where the reward does not add up from terms or no turn is shared.
    """
    shared = shared_turns(before, after, lambda reply: reply.status != Status.FAILED)
    sides = [
        [raw_terms(signals_of(reply), weights) for reply in side]
        for side in (shared.before, shared.after)
    ]
    if not all(sides) or any(not terms for side in sides for terms in side):
        return {}
    names = dict.fromkeys(name for side in sides for terms in side for name in terms)
    first, second = (
        {name: fmean(terms[name] if name in terms else 0.0 for terms in side) for name in names}
        for side in sides
    )
    return {name: second[name] - first[name] for name in names}


def signals_of(reply: EvaluatedReply) -> Signals:
    """The signals that a reply's composite was made of."""
    logit = reply.judge_logit is not None
    quality = reply.judge_logit
    if reply.empathy is not None:
        quality = scaled_rating(reply.empathy)
    return Signals(
        status=Status(reply.status),
        reason=reply.reason,
        quality=quality,
        quality_is_logit=logit,
        kl=reply.kl,
        entropy=reply.entropy,
        bigram=reply.bigram,
        trigram=reply.trigram,
        num_tokens=reply.num_tokens,
        label_leak=reply.label_leak,
        truncated=reply.truncated,
    )
