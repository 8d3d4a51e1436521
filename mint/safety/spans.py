"""Finding phrases in a reply: masked quotations, and where a match stands.

Rules match on a prepared copy of the reply that has the same length, so that a match's position is
its position in the reply. In the copy, typographic apostrophes are plain, and what stands in double
quotation marks is blank: a reply that quotes the person, or offers them words to say, does not
speak for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from rewards.text import split_sentences

_SAME = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "‐": "-", "‑": "-", "\u00a0": " "})
_QUOTED = re.compile(r'"[^"\n]{1,400}"|“[^“”\n]{1,400}”|«[^«»\n]{1,400}»')
_CACHED = 256


class Span(NamedTuple):
    """A piece of a reply."""

    start: int
    """Position of its first character in the reply."""
    end: int
    text: str
    """The words as they stand in the reply."""
    sentence: int
    """0-based number of the sentence it starts in."""


def plain(text: str) -> str:
    """The text with plain apostrophes, hyphens and spaces, of the same length."""
    return text.translate(_SAME)


@lru_cache(maxsize=_CACHED)
def prepared(reply: str) -> str:
    """The copy that rules match on; the same length as `reply`.

    >>> prepared('Say “no” to him. I’m sure.')
    "Say      to him. I'm sure."
    """
    text = plain(reply)
    if _QUOTED.fullmatch(text.strip()):
        return text  # a reply that is one quotation as a whole is no quotation
    return _QUOTED.sub(lambda match: " " * len(match[0]), text)


def find(
    pattern: re.Pattern[str], reply: str, keep: Callable[[str, re.Match[str]], bool]
) -> list[Span]:
    """Every match of `pattern` in the prepared `reply` for which keep(prepared, match) is true."""
    text = prepared(reply)
    return [_span(reply, match) for match in pattern.finditer(text) if keep(text, match)]


def in_order(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The spans by position; one that overlaps an earlier one is left out."""
    kept: list[Span] = []
    for item in sorted(spans):
        if not kept or item.start >= kept[-1].end:
            kept.append(item)
    return tuple(kept)


def _span(reply: str, match: re.Match[str]) -> Span:
    """The match as a piece of `reply`."""
    start, end = match.span()
    return Span(start, end, reply[start:end], _sentence_at(reply, start))


def _sentence_at(reply: str, position: int) -> int:
    """0-based number of the sentence that holds `position`."""
    starts = _sentence_starts(reply)
    return max(0, sum(start <= position for start in starts) - 1)


@lru_cache(maxsize=_CACHED)
def _sentence_starts(reply: str) -> tuple[int, ...]:
    """Positions at which the sentences of `reply` start."""
    return tuple(_positions(reply, split_sentences(reply)))


def _positions(reply: str, sentences: Iterable[str]) -> Iterator[int]:
    start = 0
    for sentence in sentences:
        start = reply.index(sentence, start)
        yield start
        start += len(sentence)
