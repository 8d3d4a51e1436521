"""Metrics of all replies taken together: how much wording they share.

A bootstrap would draw conversations twice and thereby invent repetition, so the intervals of these
come from the jackknife, which leaves out one conversation at a time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise

import numpy as np

from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.arrays import Floats

_WORD = re.compile(r"\w+(?:['’]\w+)*")
OPENING_WORDS = 4

Groups = list[Counter[Hashable]]


def distinct_2(replies: Sequence[EvaluatedReply], conversations: Sequence[str]) -> Floats:
    """[1 + C] different word pairs / word pairs, in (0, 1]; then without each conversation.

    Falls with the length and number of replies, so compare it between equal numbers of replies.
    """
    groups = _group(replies, conversations, lambda text: pairwise(_words(text)))
    return _leave_one_out(groups, _distinct)


def top_opening(replies: Sequence[EvaluatedReply], conversations: Sequence[str]) -> Floats:
    """[1 + C] share of replies that begin with the most common first four words; then without
    each conversation. Near 1 means that a template has been learnt."""
    groups = _group(replies, conversations, lambda text: [tuple(_words(text)[:OPENING_WORDS])])
    return _leave_one_out(groups, _top_share)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _group(
    replies: Sequence[EvaluatedReply],
    conversations: Sequence[str],
    items: Callable[[str], object],
) -> Groups:
    place = {name: c for c, name in enumerate(conversations)}
    groups: Groups = [Counter() for _ in conversations]
    for reply in replies:
        if reply.graded:
            groups[place[reply.conversation_id]].update(items(reply.reply))  # type: ignore[call-overload]
    return groups


def _leave_one_out(groups: Groups, statistic: Callable[[Counter[Hashable]], float]) -> Floats:
    total: Counter[Hashable] = Counter()
    for group in groups:
        total.update(group)
    values = [statistic(total)]
    for group in groups:
        total.subtract(group)
        values.append(statistic(total))
        total.update(group)
    return np.array(values)


def _distinct(counts: Counter[Hashable]) -> float:
    total = sum(counts.values())
    return sum(count > 0 for count in counts.values()) / total if total else np.nan


def _top_share(counts: Counter[Hashable]) -> float:
    total = sum(counts.values())
    return max(counts.values()) / total if total else np.nan
