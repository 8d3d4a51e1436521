"""How often tactics of the turn before are used again: of each tactic, and at each turn.

Suffixes: _P pairs, _K tactics, _C clusters, _G groups (tactics or turns).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mint.evaluation.metrics.tactic_sets import used
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.arrays import Bools, Floats, divide, sum_by
from mint.evaluation.statistics.bootstrap import jackknife_interval


class Reuse(NamedTuple):
    """A share of uses in [0, 1] that are repeated; None where nothing could be."""

    rate: float | None
    low: float | None
    high: float | None
    n: int
    """Replies that could repeat."""


def by_tactic(replies: Sequence[EvaluatedReply], confidence: float) -> list[Reuse]:
    """P(tactic | the turn before has it) of each tactic, in taxonomy order, with the jackknife's
    interval over clusters; their mean is the stickiness."""
    pairs = [reply for reply in replies if reply.graded and reply.has_previous]
    now_PK, before_PK = used([r.counts for r in pairs]), used([r.previous_counts for r in pairs])
    return _rates(pairs, now_PK & before_PK, before_PK, before_PK.sum(axis=0), confidence)


def by_turn(replies: Sequence[EvaluatedReply], confidence: float) -> dict[int, Reuse]:
    """Turn (0-based) -> share of the tactics of the turn before that its replies use again."""
    pairs = [reply for reply in replies if reply.graded and reply.has_previous]
    turns = sorted({reply.turn for reply in pairs})
    now_PK, before_PK = used([r.counts for r in pairs]), used([r.previous_counts for r in pairs])
    at_PG = np.array([[reply.turn == turn for turn in turns] for reply in pairs], dtype=float)
    at_PG = at_PG.reshape(len(pairs), len(turns))
    could_P = before_PK.sum(axis=1)
    num_G = (at_PG * (could_P > 0)[:, None]).sum(axis=0)
    again_PG = at_PG * (now_PK & before_PK).sum(axis=1)[:, None]
    rates = _rates(pairs, again_PG, at_PG * could_P[:, None], num_G, confidence)
    return dict(zip(turns, rates, strict=True))


def _rates(
    pairs: Sequence[EvaluatedReply],
    again_PG: Floats | Bools,
    could_PG: Floats | Bools,
    num_G: Floats,
    confidence: float,
) -> list[Reuse]:
    clusters = {name: c for c, name in enumerate(dict.fromkeys(r.cluster for r in pairs))}
    index_P = np.array([clusters[reply.cluster] for reply in pairs], dtype=np.intp)
    again_CG, could_CG = (
        sum_by(np.asarray(sums, float), index_P, len(clusters)) for sums in (again_PG, could_PG)
    )
    result = []
    for again_C, could_C, num in zip(again_CG.T, could_CG.T, num_G, strict=True):
        known = could_C > 0
        again_C, could_C = again_C[known], could_C[known]
        if not len(could_C):
            result.append(Reuse(None, None, None, 0))
            continue
        rate = float(again_C.sum() / could_C.sum())
        without_C = divide(again_C.sum() - again_C, could_C.sum() - could_C)
        ends = jackknife_interval(rate, without_C, confidence)
        if ends.low is None or ends.high is None or ends.low == ends.high:
            # A rate that no cluster differs from says nothing about its error.
            result.append(Reuse(rate, None, None, int(num)))
        else:
            result.append(Reuse(rate, max(0.0, ends.low), min(1.0, ends.high), int(num)))
    return result
