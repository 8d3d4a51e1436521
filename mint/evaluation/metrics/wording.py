"""How much wording a set of replies shares: n-grams counted by conversation.

Counts are matrices with a row a conversation (or, from `leave_one_out`, a row for all and one for
each conversation left out), because a bootstrap would draw conversations twice and thereby invent
repetition; intervals come from the jackknife.

Suffixes: _C conversations, _V different items, _R rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mint.evaluation.statistics.arrays import Floats, divide
from rewards.errors import DataError

Item = TypeVar("Item", bound=Hashable)

_WORD = re.compile(r"\w+(?:'\w+)*")
OPENING_WORDS = 4
PHRASE_WORDS = 5


def words(text: str) -> list[str]:
    """Lower-case words of a text, contractions whole, typographic apostrophes made plain.

    >>> words("You’re SO tired!")
    ["you're", 'so', 'tired']
    """
    return _WORD.findall(text.lower().replace("’", "'"))


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Consecutive n-tuples in order; empty when there are fewer than n tokens."""
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))


def opening(text: str) -> tuple[str, ...]:
    """The first four words, what a template is recognised by."""
    return tuple(words(text)[:OPENING_WORDS])


def phrases(text: str) -> set[tuple[str, ...]]:
    """All five-word phrases of a reply, each once."""
    return set(ngrams(words(text), PHRASE_WORDS))


def normalised(text: str) -> str:
    """Words only: texts that differ in case, white space or punctuation become equal."""
    return " ".join(words(text))


def count_by_group(
    items: Sequence[Iterable[Item]], index: NDArray[np.intp], groups: int
) -> tuple[Floats, list[Item]]:
    """[C, V] counts of the items of each reply by group, and the V different items."""
    place: dict[Item, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for group, found in zip(index, items, strict=True):
        codes = [place.setdefault(item, len(place)) for item in found]
        columns += codes
        rows += [int(group)] * len(codes)
    flat = np.bincount(
        np.asarray(rows, dtype=np.intp) * len(place) + np.asarray(columns, dtype=np.intp),
        minlength=groups * len(place),
    )
    return flat.reshape(groups, len(place)).astype(np.float64), list(place)


def leave_one_out(counts_CV: Floats) -> Floats:
    """[1 + C, V] counts of all groups, then of all but each one."""
    total_V = counts_CV.sum(axis=0)
    return np.vstack([total_V, total_V - counts_CV])


def distinct_share(counts_RV: Floats) -> Floats:
    """[R] different items / items, in (0, 1]. Falls with the amount of text."""
    return divide((counts_RV > 0).sum(axis=1), counts_RV.sum(axis=1))


def distinct_share_of_sample(counts_RV: Floats, sample: int) -> Floats:
    """[R] expected different items / items in a random sample of `sample` items, in (0, 1].

    Exact (rarefaction, Hurlbert 1971): an item that occurs c times among N is missed with
    probability C(N - c, sample) / C(N, sample). Comparable between systems of any length; NaN
    where there are fewer items than `sample`.
    """
    if sample < 1:
        raise DataError(f"a sample needs at least one item, got {sample}")
    shares = []
    for counts_V in counts_RV:
        values, times = np.unique(counts_V[counts_V > 0].astype(int), return_counts=True)
        total = int((values * times).sum())
        if total < sample:
            shares.append(math.nan)
            continue
        missed = [_miss(total, int(value), sample) for value in values]
        shares.append(float(((1.0 - np.array(missed)) * times).sum()) / sample)
    return np.array(shares)


def _miss(total: int, count: int, sample: int) -> float:
    """C(total - count, sample) / C(total, sample), by logarithms of factorials."""
    if total - count < sample:
        return 0.0
    log = math.lgamma
    return math.exp(
        log(total - count + 1)
        - log(total - count - sample + 1)
        - log(total + 1)
        + log(total - sample + 1)
    )


def top_share(counts_RV: Floats, replies_R: Floats) -> Floats:
    """[R] share of replies that have the most common item, for items counted once a reply."""
    most_R = counts_RV.max(axis=1, initial=0.0)
    return divide(most_R, replies_R)
