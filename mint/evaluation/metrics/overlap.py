"""Repetition of wording between two replies, as the released analysis measures it.

Words are separated by white space and lower-cased; punctuation stays with its word.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mint.evaluation.metrics.wording import ngrams

_EPSILON = 0.1
"""Matches that an order without any match counts as (Chen and Cherry 2014, method 1)."""


def tokens(text: str) -> list[str]:
    """Lower-case words with their punctuation.

    >>> tokens("Oh no! I see.")
    ['oh', 'no!', 'i', 'see.']
    """
    return text.lower().split()


def bigram_overlap(now: Sequence[str], previous: Sequence[str]) -> float:
    """Share of the previous turn's bigrams that come back now, in [0, 1]; 0 when it has none.

    A bigram that occurs twice must come back twice to count twice.
    """
    before = Counter(ngrams(previous, 2))
    shared = (before & Counter(ngrams(now, 2))).total()
    return shared / before.total() if before else 0.0


def bleu_2(now: Sequence[str], previous: Sequence[str]) -> float:
    """BLEU of order 2 of this turn against the previous one, in [0, 1].

    Geometric mean of the clipped precisions of words and bigrams, times exp(1 - previous/now
    words) when this turn is the shorter one. Bigrams that do not match at all count as 0.1
    matches; without a common word it is 0.
    """
    logs = []
    for order in (1, 2):
        own = Counter(ngrams(now, order))
        matches: float = (own & Counter(ngrams(previous, order))).total()
        if matches == 0:
            if order == 1:
                return 0.0
            matches = _EPSILON
        logs.append(math.log(matches / max(1, own.total())))
    brevity = min(0.0, 1.0 - len(previous) / len(now))
    return math.exp(brevity + sum(logs) / len(logs))
