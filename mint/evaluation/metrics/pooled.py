"""Metrics of all replies taken together: how much wording they share.

A bootstrap would draw clusters twice and thereby invent repetition, so the intervals of these
come from the jackknife, which leaves out one scenario or conversation at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np

from mint.evaluation.metrics.wording import opening, words
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.arrays import Floats

Item = tuple[str, ...]


def distinct_2(replies: Sequence[EvaluatedReply], clusters: Sequence[str]) -> Floats:
    """[1 + C] different word pairs / word pairs, in (0, 1]; then without each cluster.

    Falls with the length and number of replies, so compare it between equal numbers of replies.
    """
    return _leave_one_out(replies, clusters, lambda text: pairwise(words(text)), _different)


def top_opening(replies: Sequence[EvaluatedReply], clusters: Sequence[str]) -> Floats:
    """[1 + C] share of replies that begin with the most common first four words; then without
    each cluster. Near 1 means that a template has been learnt."""
    return _leave_one_out(
        replies, clusters, lambda text: [opening(text)], lambda counts: max(counts.values())
    )


def _different(counts: Counter[Item]) -> int:
    return sum(count > 0 for count in counts.values())


def _leave_one_out(
    replies: Sequence[EvaluatedReply],
    clusters: Sequence[str],
    items: Callable[[str], Iterable[Item]],
    count: Callable[[Counter[Item]], int],
) -> Floats:
    """[1 + C] count(items of the graded replies) / their number; NaN without any."""
    own: dict[str, Counter[Item]] = {name: Counter() for name in clusters}
    for reply in replies:
        if reply.graded:
            own[reply.cluster].update(items(reply.reply))
    total: Counter[Item] = Counter()
    for group in own.values():
        total.update(group)
    values = [_share(total, count)]
    for group in own.values():
        total.subtract(group)
        values.append(_share(total, count))
        total.update(group)
    return np.array(values)


def _share(counts: Counter[Item], count: Callable[[Counter[Item]], int]) -> float:
    total = counts.total()
    return count(counts) / total if total else np.nan
