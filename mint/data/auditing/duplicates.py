"""Equal and nearly equal prompts, within a file and between two.

Two prompts are near duplicates when the sets of their word n-grams (within messages) overlap by a
given Jaccard similarity. Candidates come from MinHash signatures (Broder 1997) cut into bands; the
similarity of every candidate pair is then computed exactly, so there are no false pairs, and pairs
somewhat above the threshold are missed only with the probability that `missed` gives.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mint.data.rows import Case
from rewards.types import Message

Hashes = NDArray[np.uint64]

_NO_WORD = re.compile(r"[^\w\s]")
_VARIATION = re.compile("[\ufe00-\ufe0f]")
_MAX_WORD = 1000
_SHINGLE = 3
_BANDS, _ROWS = 32, 4
_PERMUTATIONS = _BANDS * _ROWS
_PRIME = np.uint64((1 << 31) - 1)
_MAX_BUCKET = 50


class Pair(NamedTuple):
    """Two rows that say nearly the same; `first` comes earlier (or from the first file)."""

    first: int
    second: int
    similarity: float
    """Jaccard similarity of the n-gram sets, in [0, 1]."""


@lru_cache(maxsize=200_000)
def normalised(text: str) -> str:
    """Words in lower case, single spaces, no punctuation.

    Combining marks are part of a word: in many scripts they are its vowels.

    >>> [normalised(text) for text in ("Hello,  THERE!", "माला।")]
    ['hello there', 'माला']
    """
    text = _NO_WORD.sub(_mark_or_space, _VARIATION.sub("", text).casefold())
    # Composing takes the square of a run of marks; no word of a language is so long.
    words = (unicodedata.normalize("NFC", w) if len(w) < _MAX_WORD else w for w in text.split())
    return " ".join(words)


def loose_key(row: Case) -> tuple[tuple[str, str], ...]:
    """Equal for rows whose prompts differ in case, punctuation and white space at most.

    A message without any word (emoji, "?") counts as it is written.
    """
    return tuple(
        (message.role, normalised(message.content) or message.content.strip())
        for message in row.history
    )


def groups(keys: Iterable[object]) -> list[list[int]]:
    """Positions that share a key, for keys that occur more than once; in order."""
    places: dict[object, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        places[key].append(position)
    return [group for group in places.values() if len(group) > 1]


def near_duplicates(rows: Sequence[Case], threshold: float) -> list[Pair]:
    """Pairs of rows of different conversations with similarity in [threshold, 1), in order.

    Rows with equal normalised prompts are left to `groups`.
    """
    return [
        pair
        for pair in _similar(rows, threshold)
        if loose_key(rows[pair.first]) != loose_key(rows[pair.second])
        and rows[pair.first].conversation_id != rows[pair.second].conversation_id
    ]


def near_between(first: Sequence[Case], second: Sequence[Case], threshold: float) -> list[Pair]:
    """Pairs of a row of each file with similarity of at least `threshold`."""
    pairs = _similar([*first, *second], threshold)
    split = len(first)
    return [
        Pair(pair.first, pair.second - split, pair.similarity)
        for pair in pairs
        if pair.first < split <= pair.second
    ]


def missed(similarity: float) -> float:
    """Probability that a pair of this similarity is no candidate."""
    return float((1 - similarity**_ROWS) ** _BANDS)


def shared_ngrams(
    texts: Iterable[Sequence[str]], others: Iterable[str], length: int
) -> dict[int, str]:
    """Position -> first run of `length` words of its texts that also stands in one of `others`."""
    known = {gram for other in others for gram in _ngrams(other, length)}
    found = {}
    for position, parts in enumerate(texts):
        match = next((g for part in parts for g in _ngrams(part, length) if g in known), None)
        if match is not None:
            found[position] = match
    return found


def _ngrams(text: str, length: int) -> Iterator[str]:
    words = normalised(text).split()
    for start in range(len(words) - length + 1):
        yield " ".join(words[start : start + length])


def _mark_or_space(match: re.Match[str]) -> str:
    return match[0] if unicodedata.category(match[0])[0] == "M" else " "


def _similar(rows: Sequence[Case], threshold: float) -> list[Pair]:
    sets = [
        np.unique(np.concatenate([_shingles(message.content) for message in row.history]))
        for row in rows
    ]
    usable = [number for number, shingles in enumerate(sets) if len(shingles)]
    if len(usable) < 2:
        return []
    signatures = np.stack([_prompt_signature(rows[number].history) for number in usable])
    pairs = []
    for i, j in sorted(_candidates(signatures)):
        a, b = usable[i], usable[j]
        similarity = _jaccard(sets[a], sets[b])
        if similarity >= threshold:
            pairs.append(Pair(a, b, similarity))
    return pairs


def _candidates(signatures: Hashes) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        part = np.ascontiguousarray(signatures[:, band * _ROWS : (band + 1) * _ROWS])
        for members in groups(key.tobytes() for key in part):
            # Everybody says hello; a bucket of thousands would be compared for minutes.
            found.update(combinations(members[:_MAX_BUCKET], 2))
    return found


def _jaccard(a: Hashes, b: Hashes) -> float:
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)


def _prompt_signature(history: Sequence[Message]) -> Hashes:
    # The minimum over a union is the minimum of the minima: each message is hashed once.
    return np.min(np.stack([_signature(message.content) for message in history]), axis=0)


@lru_cache(maxsize=200_000)
def _shingles(text: str) -> Hashes:
    grams = set(_ngrams(text, _SHINGLE)) or {normalised(text)} - {""}
    return np.unique(np.array([zlib.crc32(gram.encode()) for gram in grams], dtype=np.uint64))


@lru_cache(maxsize=200_000)
def _signature(text: str) -> Hashes:
    shingles = _shingles(text)
    a, b = _multipliers()
    result = np.full(_PERMUTATIONS, _PRIME, dtype=np.uint64)
    for start in range(0, len(shingles), 512):
        block = (shingles[start : start + 512] % _PRIME)[:, None]
        result = np.minimum(result, ((block * a + b) % _PRIME).min(axis=0))
    return result


@lru_cache(maxsize=1)
def _multipliers() -> tuple[Hashes, Hashes]:
    rng = np.random.default_rng(0)
    high = int(_PRIME)
    return (
        rng.integers(1, high, _PERMUTATIONS, dtype=np.uint64),
        rng.integers(0, high, _PERMUTATIONS, dtype=np.uint64),
    )
