"""Metrics of a set of evaluated replies, as functions of sums over clusters (`cluster`).

Every metric here is a function of sums that add up over replies, so a bootstrap resample of the
clusters is a matrix product. The exceptions, which depend on which texts occur at all
(`POOLED`), are in `pooled`.

Stickiness and lift (`repetition`) compare a reply with the previous supporter turn of its
conversation, over graded replies that have one.

Suffixes: _N replies, _C clusters, _M columns of sums, _R resamples, _K tactics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mint.evaluation.metrics import repetition
from mint.evaluation.metrics.errors import ERROR, errors
from mint.evaluation.metrics.parts import HELD_DOWN, PARTS, VETOES
from mint.evaluation.metrics.repetition import PAIR_COLUMNS, pair_sums
from mint.evaluation.metrics.tactic_sets import used
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.arrays import Bools, Floats, divide, sum_by
from mint.safety.taxonomy import KINDS
from rewards.tactics import NUM_TACTICS, TACTIC_NAMES
from rewards.types import DIMENSIONS, LOWEST_RATING, Status

Value = Callable[[EvaluatedReply], float | None]

PREVALENCE = "prevalence/"
JUDGE_GAP = "judge_gap"
"""How much higher the judge rates a reply than the second judge does."""


def _graded(value: Value) -> Value:
    return lambda reply: value(reply) if reply.graded else None


def _gap(reply: EvaluatedReply) -> float | None:
    if reply.empathy is None or reply.second_empathy is None:
        return None
    return reply.empathy - reply.second_empathy


def _dimension(name: str) -> Value:
    return lambda reply: reply.dimensions.get(name)


def _part(name: str) -> Value:
    return lambda reply: reply.parts.get(name)


def _held_down(name: str | None = None) -> Value:
    """Whether anything (or `name`) held the rating down; of replies with a rating."""

    def value(reply: EvaluatedReply) -> float | None:
        if reply.tricks is None:
            return None
        return float(bool(reply.tricks) if name is None else name in reply.tricks)

    return value


def _uses(tactic: int) -> Value:
    return _graded(lambda reply: float(reply.counts[tactic] > 0))


def _has(kind: str) -> Value:
    """Whether it has an error of the taxonomy; of replies that may have it."""

    def value(reply: EvaluatedReply) -> float | None:
        found = errors(reply)[kind]
        return None if found is None else float(found)

    return value


MEANS: dict[str, Value] = {
    "composite": lambda reply: reply.composite,
    "empathy": lambda reply: reply.empathy,
    "second_empathy": lambda reply: reply.second_empathy,
    JUDGE_GAP: _gap,
    "judge_logit": lambda reply: reply.judge_logit,
    **{name: _part(name) for name in PARTS},
    HELD_DOWN: _held_down(),
    **{f"{HELD_DOWN}/{name}": _held_down(name) for name in VETOES},
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
    **{f"{ERROR}{kind}": _has(kind) for kind in KINDS},
}
"""Metric -> its value for one reply; None leaves the reply out of that mean."""

SHARES = (
    "label_leak",
    "truncated",
    "empty",
    "failed",
    *(n for n in MEANS if n.startswith((PREVALENCE, HELD_DOWN, ERROR))),
)
"""Metrics that are a share of replies."""
REPETITION = ("stickiness", "lift")
WITH_SILENCE = "empathy_with_silence"
"""Empathy when a reply with nothing visible counts as the lowest rating."""
POOLED = ("distinct_2", "top_opening")


def cluster_sums(replies: Sequence[EvaluatedReply], clusters: Sequence[str]) -> Floats:
    """[C, M] sums over the replies of each cluster, in the order of `clusters`.

    Columns: the sums of `MEANS`, their counts, then the four sums of `_repetition_sums`.
    """
    values_NM = np.array(
        [[_number(value(reply)) for value in MEANS.values()] for reply in replies]
    ).reshape(len(replies), len(MEANS))
    counted_NM = np.isfinite(values_NM)
    columns_NM = np.hstack(
        [np.where(counted_NM, values_NM, 0.0), counted_NM, _repetition_sums(replies)]
    )
    place = {name: c for c, name in enumerate(clusters)}
    index_N = np.array([place[reply.cluster] for reply in replies], dtype=np.intp)
    return sum_by(columns_NM, index_N, len(clusters))


def estimates(totals_RM: Floats) -> dict[str, Floats]:
    """Metric -> value [R] for each row of column totals; NaN where it is undefined."""
    num = len(MEANS)
    sums, counts, pairs = np.split(totals_RM, [num, 2 * num], axis=1)
    means = divide(sums, counts)
    result = {name: means[:, m] for m, name in enumerate(MEANS)}
    rates = repetition.repetition(pairs)
    result["stickiness"] = rates.stickiness
    result["lift"] = rates.lift
    result[WITH_SILENCE] = _with_silence(sums, counts)
    return result


def _with_silence(sums_RM: Floats, counts_RM: Floats) -> Floats:
    """[R] mean rating with silence as the lowest; NaN where no reply has a rating (a reward model
    has no lowest one)."""
    empathy, empty = (list(MEANS).index(name) for name in ("empathy", "empty"))
    rated, silent = counts_RM[:, empathy], sums_RM[:, empty]
    ratings = sums_RM[:, empathy] + LOWEST_RATING * silent
    return divide(ratings, np.where(rated > 0, rated + silent, 0.0))


def counted(sums_CM: Floats) -> dict[str, int]:
    """Metric -> number of replies it is computed from."""
    totals = sums_CM.sum(axis=0)
    num = len(MEANS)
    result = {name: int(totals[num + m]) for m, name in enumerate(MEANS)}
    pairs = int(totals[2 * num + NUM_TACTICS] + totals[2 * num + 3 * NUM_TACTICS])
    silent = int(totals[list(MEANS).index("empty")])
    rated = {WITH_SILENCE: result["empathy"] + silent if result["empathy"] else 0}
    return {**result, **rated, **dict.fromkeys(REPETITION, pairs)}


def _repetition_sums(replies: Sequence[EvaluatedReply]) -> Floats:
    """[N, 40] `pair_sums`; zeros for a reply that was not graded or has no previous turn."""
    paired_N = np.array([_paired(reply) for reply in replies], dtype=bool)
    sums_NM = np.zeros((len(replies), PAIR_COLUMNS))
    sums_NM[paired_N] = pair_sums(*_pairs([reply for reply in replies if _paired(reply)]))
    return sums_NM


def _paired(reply: EvaluatedReply) -> bool:
    return reply.graded and reply.has_previous


def _pairs(replies: Sequence[EvaluatedReply]) -> tuple[Bools, Bools]:
    """[P, K] tactics of each reply, and of the turn before it."""
    return used([r.counts for r in replies]), used([r.previous_counts for r in replies])


def _number(value: float | None) -> float:
    return np.nan if value is None else value
