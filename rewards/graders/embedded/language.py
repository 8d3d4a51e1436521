"""How much a reply is like language that people write: what is known of words and word pairs.

Counts of words, of neighbouring words and of words one apart, from English conversations. A reply
of random, shuffled, dropped or doubled words holds pairs that nobody wrote, whatever it is about.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[.,!?;:]")
_SMOOTHING = 8.0
NUM_FEATURES = 12


class WordTable(NamedTuple):
    """Counts by crc32 of "u word", "b word next" and "s word next-but-one"."""

    keys: NDArray[np.uint32]
    """[entries], ascending."""
    counts: NDArray[np.uint16]
    """[entries]"""
    total: int
    """Number of words counted."""
    size: int
    """Number of different words."""

    def look_up(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Count of each name, 0 where it was not seen."""
        keys = np.array([crc32(name.encode()) for name in names], np.uint32)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.counts[place], 0).astype(np.float64)

    def rarity(self, words: Iterable[str]) -> dict[str, float]:
        """Word -> log(words counted / (its count + 1)), in nats; 0 for punctuation."""
        names = list(words)
        counts = self.look_up([f"u {name}" for name in names])
        return dict(zip(names, np.log(self.total / (counts + 1)).tolist(), strict=True))


def count_words(texts: Iterable[str], rare: int = 2) -> WordTable:
    """The table of some sentences; pairs seen less than `rare` times are left out."""
    counts: Counter[str] = Counter()
    for text in texts:
        tokens = _framed(text)
        counts.update(f"u {word}" for word in tokens)
        counts.update(_pairs(tokens, 1))
        counts.update(_pairs(tokens, 2))
    words = {name: number for name, number in counts.items() if name.startswith("u ")}
    kept = {crc32(n.encode()): c for n, c in counts.items() if c >= rare or n in words}
    keys = np.array(sorted(kept), np.uint32)
    values = np.array([min(kept[int(key)], 65535) for key in keys], np.uint16)
    return WordTable(keys, values, sum(words.values()), len(words))


def language_features(table: WordTable, sentences: Sequence[str]) -> NDArray[np.float32]:
    """float32 [NUM_FEATURES]: association of neighbours, unseen pairs, unknown words, repetition.

    Zeros for a reply without a sentence of at least two words.
    """
    framed = [tokens for text in sentences if len(tokens := _framed(text)) >= 4]
    if not framed:
        return np.zeros(NUM_FEATURES, np.float32)
    near = [_association(table, tokens, 1) for tokens in framed]
    far = np.concatenate([_association(table, tokens, 2)[0] for tokens in framed])
    lifts = np.concatenate([lift for lift, _, _ in near])
    by_sentence = [float(lift.mean()) for lift, _, _ in near]
    spoken = [token for text in sentences for token in _tokens(text) if token[0].isalpha()]
    usual = table.look_up([f"u {word}" for word in spoken]) / table.total > 0.002
    return np.array(
        [
            lifts.mean(),
            far.mean(),
            np.percentile(lifts, 20),
            (lifts < 0).mean(),
            (far < 0).mean(),
            np.concatenate([seen for _, seen, _ in near]).mean(),
            np.concatenate([unknown for _, _, unknown in near]).mean(),
            min(by_sentence),
            np.std(by_sentence),
            usual.mean() if spoken else 0.0,
            len(set(spoken)) / max(len(spoken), 1),
            np.log1p(len(spoken)),
        ],
        np.float32,
    )


def _association(
    table: WordTable, tokens: Sequence[str], step: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each pair: log P(second | first) / P(second); whether it was seen; whether unknown."""
    first = table.look_up([f"u {word}" for word in tokens[:-step]])
    second = table.look_up([f"u {word}" for word in tokens[step:]])
    together = table.look_up(list(_pairs(tokens, step)))
    chance = (second + 0.5) / (table.total + table.size)
    given = (together + _SMOOTHING * chance) / (first + _SMOOTHING)
    return np.log(given) - np.log(chance), together > 0, second == 0


def _pairs(tokens: Sequence[str], step: int) -> Iterable[str]:
    kind = "b" if step == 1 else "s"
    return (f"{kind} {a} {b}" for a, b in zip(tokens, tokens[step:], strict=False))


def _framed(text: str) -> list[str]:
    return ["<s>", *_tokens(text), "</s>"]


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower().replace("\u2019", "'").replace("\u2014", " , "))
