"""Metrics of a set of evaluated replies, as functions of sums over conversations.

Every metric here is a function of sums that add up over replies, so a bootstrap resample of the
conversations is a matrix product. The exceptions, which depend on which texts occur at all
(`POOLED`), are in `mint.evaluation.pooled`.

With x_k = "tactic k is in the reply" and p_k = "tactic k was in the previous supporter turn", over
graded replies that have a previous turn:

    stickiness = mean over k of P(x_k | p_k)               (k with p_k somewhere)
    lift       = mean over k of P(x_k | p_k) - P(x_k | not p_k)   (k with both cases)

Stickiness grows with the number of tactics a reply uses; lift is free of that.

Suffixes: _N replies, _C conversations, _M columns of sums, _R resamples, _K tactics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mint.evaluation.records import EvaluatedReply
from rewards.tactics import NUM_TACTICS, TACTIC_NAMES
from rewards.types import DIMENSIONS, Status

Floats = NDArray[np.float64]
Value = Callable[[EvaluatedReply], float | None]

PREVALENCE = "prevalence/"


def _graded(value: Value) -> Value:
    return lambda reply: value(reply) if reply.graded else None


def _dimension(name: str) -> Value:
    return lambda reply: reply.dimensions.get(name)


def _uses(tactic: int) -> Value:
    return _graded(lambda reply: float(reply.counts[tactic] > 0))


MEANS: dict[str, Value] = {
    "composite": lambda reply: reply.composite,
    "empathy": lambda reply: reply.empathy,
    **{name: _dimension(name) for name in DIMENSIONS},
    "kl": lambda reply: reply.kl,
    "entropy": lambda reply: reply.entropy,
    "tactics_per_turn": _graded(lambda reply: float(np.count_nonzero(reply.counts))),
    "num_tokens": lambda reply: float(reply.num_tokens),
    "label_leak": _graded(lambda reply: float(reply.label_leak)),
    "truncated": lambda reply: float(reply.truncated),
    "empty": lambda reply: float(reply.status in (Status.EMPTY, Status.TRUNCATED_THINK)),
    "failed": lambda reply: float(reply.status == Status.FAILED),
    **{f"{PREVALENCE}{name}": _uses(k) for k, name in enumerate(TACTIC_NAMES)},
}
"""Metric -> its value for one reply; None leaves the reply out of that mean."""

REPETITION = ("stickiness", "lift")
POOLED = ("distinct_2", "top_opening")


def conversation_sums(replies: Sequence[EvaluatedReply], conversations: Sequence[str]) -> Floats:
    """[C, M] sums over the replies of each conversation, in the order of `conversations`.

    Columns: the sums of `MEANS`, their counts, then the four sums of `_repetition_sums`.
    """
    values_NM = np.array(
        [[_number(value(reply)) for value in MEANS.values()] for reply in replies]
    ).reshape(len(replies), len(MEANS))
    counted_NM = np.isfinite(values_NM)
    columns_NM = np.hstack(
        [np.where(counted_NM, values_NM, 0.0), counted_NM, _repetition_sums(replies)]
    )
    place = {name: c for c, name in enumerate(conversations)}
    index_N = np.array([place[reply.conversation_id] for reply in replies], dtype=int)
    sums_CM = np.zeros((len(conversations), columns_NM.shape[1]))
    np.add.at(sums_CM, index_N, columns_NM)
    return sums_CM


def estimates(totals_RM: Floats) -> dict[str, Floats]:
    """Metric -> value [R] for each row of column totals; NaN where it is undefined."""
    num = len(MEANS)
    sums, counts, repetition = np.split(totals_RM, [num, 2 * num], axis=1)
    means = _divide(sums, counts)
    result = {name: means[:, m] for m, name in enumerate(MEANS)}
    both, previous, only_now, no_previous = np.split(repetition, 4, axis=1)
    given_RK, otherwise_RK = _divide(both, previous), _divide(only_now, no_previous)
    result["stickiness"] = _nan_mean(given_RK)
    result["lift"] = _nan_mean(given_RK - otherwise_RK)
    return result


def counted(sums_CM: Floats) -> dict[str, int]:
    """Metric -> number of replies it is computed from."""
    totals = sums_CM.sum(axis=0)
    num = len(MEANS)
    result = {name: int(totals[num + m]) for m, name in enumerate(MEANS)}
    pairs = int(totals[2 * num + NUM_TACTICS] + totals[2 * num + 3 * NUM_TACTICS])
    return {**result, **dict.fromkeys(REPETITION, pairs)}


def repeat_rates(replies: Sequence[EvaluatedReply]) -> list[float | None]:
    """P(x_k | p_k) of each tactic, in [0, 1]; None for one that no previous turn has used."""
    both, previous = _repetition_sums(replies).sum(axis=0)[: 2 * NUM_TACTICS].reshape(2, -1)
    return [float(b / p) if p > 0 else None for b, p in zip(both, previous, strict=True)]


def _repetition_sums(replies: Sequence[EvaluatedReply]) -> Floats:
    """[N, 40]: per tactic, in both turns; in the previous; only in the reply; not in the previous.

    Zeros for a reply that was not graded or has no previous turn.
    """
    sums_N4K = np.zeros((len(replies), 4, NUM_TACTICS))
    for n, reply in enumerate(replies):
        if reply.graded and reply.has_previous:
            now = np.asarray(reply.counts) > 0
            previous = np.asarray(reply.previous_counts) > 0
            sums_N4K[n] = [now & previous, previous, now & ~previous, ~previous]
    return sums_N4K.reshape(len(replies), 4 * NUM_TACTICS)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _divide(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def _nan_mean(values_RK: Floats) -> Floats:
    defined = np.isfinite(values_RK)
    return _divide(np.where(defined, values_RK, 0.0).sum(axis=1), defined.sum(axis=1).astype(float))
