"""Replies with their words replaced, shuffled, moved, dropped or doubled."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_KINDS = ("shuffled", "moved", "dropped", "doubled")


def corrupted(
    sentences: Sequence[str], vocabulary: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, ...]]:
    """Two corruptions: random words, and one of the other kinds, each more or less strong."""
    rate = rng.uniform(0.15, 0.8)
    yield replaced(sentences, rate, vocabulary, rng)
    kind, rate = rng.choice(_KINDS), rng.uniform(0.3, 0.7)
    yield tuple(_changed(sentence.split(), kind, rate, rng) for sentence in sentences)


def replaced(
    sentences: Sequence[str], rate: float, vocabulary: Sequence[str], rng: random.Random
) -> tuple[str, ...]:
    """Each word is another one with chance `rate`."""
    return tuple(
        " ".join(rng.choice(vocabulary) if rng.random() < rate else w for w in sentence.split())
        for sentence in sentences
    )


def _changed(words: list[str], kind: str, rate: float, rng: random.Random) -> str:
    if kind == "shuffled":
        rng.shuffle(words)
    elif kind == "moved":
        for place in range(len(words) - 1):
            if rng.random() < rate:
                words[place : place + 2] = words[place : place + 2][::-1]
    elif kind == "dropped":
        words = [word for word in words if rng.random() > rate] or words[:1]
    else:
        words = [word for word in words for _ in range(1 + (rng.random() < rate))]
    return " ".join(words)
