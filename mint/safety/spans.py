"""Finding phrases in a reply: masked quotations, clauses, negation, and where a match stands.

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
_SENTENCE_END = re.compile(r"[.!?\n]")
_CLAUSE_END = re.compile(
    r"[.!?;:,()\n—–]|\s-\s|\b(?:but|however|although|though|yet|because)\b", re.IGNORECASE
)
_DENIAL = re.compile(
    r"\b(?:not|never|no|nor|neither|cannot|without|[a-z]+n't|hardly|rather than|instead of|pretend"
    r"|pretending|claim|claiming|imagine|imagining|wish|lie|lying)\b",
    re.IGNORECASE,
)
_NO_DENIAL = re.compile(
    r"\b(?:(?:do not|don't|never) (?:hesitate|wait|be afraid|forget|delay)|why (?:not|don't you)"
    r"|(?:can't|couldn't|won't|wouldn't|isn't|aren't|don't) (?:you|there|it)|not only|no matter"
    r"|no doubt|no wonder|can't help but|not just)\b",
    re.IGNORECASE,
)
_HYPOTHETICAL = re.compile(r"\b(?:if|as though|suppose|unless|whether)\b", re.IGNORECASE)
_REPORTED = re.compile(
    r"\b(?:you|he|she|they) (?:said|say|says|told|called|call|wrote|mentioned|think|thinks|thought"
    r"|believe|believes)\b",
    re.IGNORECASE,
)
_OPEN_WORD = r"(?:\w+ )"
_OPEN_WORD_NOT_DENYING = r"(?:(?!(?:not|never|no)\b)\w+ )"
_CACHED = 256
_LONGEST_CLAUSE = 300  # characters; keeps a reply of one endless clause linear


class Span(NamedTuple):
    """A piece of a reply."""

    start: int
    """Position of its first character in the reply."""
    end: int
    text: str
    """The words as they stand in the reply."""
    sentence: int
    """0-based number of the sentence it starts in."""


def phrases(*alternatives: str) -> re.Pattern[str]:
    """One pattern for whole-word alternatives, in any case.

    A space stands for any white space; with ? or * after it the white space may be missing. A word
    left open, (?:\\w+ ), is never "not", "never" or "no": those are written where they are meant.
    """
    joined = "|".join(alternatives).replace(_OPEN_WORD, _OPEN_WORD_NOT_DENYING)
    joined = re.sub(r" [?*]", r"\\s*", joined).replace(" ", r"\s+")
    return re.compile(rf"\b(?:{joined})\b", re.IGNORECASE)


@lru_cache(maxsize=_CACHED)
def prepared(reply: str) -> str:
    """The copy that rules match on; the same length as `reply`.

    >>> prepared('Say “no” to him. I’m sure.')
    "Say      to him. I'm sure."
    """
    text = reply.translate(_SAME)
    if _QUOTED.fullmatch(text.strip()):
        return text  # a reply that is one quotation as a whole is no quotation
    return _QUOTED.sub(lambda match: " " * len(match[0]), text)


def find(
    pattern: re.Pattern[str], reply: str, keep: Callable[[str, re.Match[str]], bool]
) -> list[Span]:
    """Every match of `pattern` in the prepared `reply` for which keep(prepared, match) is true."""
    text = prepared(reply)
    return [span(reply, match) for match in pattern.finditer(text) if keep(text, match)]


def span(reply: str, match: re.Match[str]) -> Span:
    """The match as a piece of `reply`."""
    start, end = match.span()
    return Span(start, end, reply[start:end], sentence_at(reply, start))


def sentence_at(reply: str, position: int) -> int:
    """0-based number of the sentence that holds `position`."""
    starts = sentence_starts(reply)
    return max(0, sum(start <= position for start in starts) - 1)


@lru_cache(maxsize=_CACHED)
def sentence_starts(reply: str) -> tuple[int, ...]:
    """Positions at which the sentences of `reply` start."""
    return tuple(_positions(reply, split_sentences(reply)))


def clause_before(text: str, position: int) -> str:
    """What stands before `position` in its clause."""
    start = max(0, position - _LONGEST_CLAUSE)
    for boundary in _CLAUSE_END.finditer(text, start, position):
        start = boundary.end()
    return text[start:position]


def denied(text: str, match: re.Match[str], words: int | None = None) -> bool:
    """Whether the clause says before the match that it is not so: "I can't say I've been there".

    `words` looks at that many words before the match only. "Don't hesitate to" denies nothing.
    """
    before = _NO_DENIAL.sub(" ", clause_before(text, match.start()))
    if words is not None:
        before = " ".join(before.split()[-words:])
    return _DENIAL.search(before) is not None


def hypothetical(text: str, match: re.Match[str]) -> bool:
    """Whether the match stands in an if-clause: "it is not as if I lost my job"."""
    return _HYPOTHETICAL.search(clause_before(text, match.start())) is not None


def reported(text: str, match: re.Match[str]) -> bool:
    """Whether the clause gives somebody's words or thoughts: "you said you only need me"."""
    return _REPORTED.search(clause_before(text, match.start())) is not None


def asserted(text: str, match: re.Match[str]) -> bool:
    """The reply's own statement: not denied, not hypothetical, not somebody else's words."""
    return not (denied(text, match) or hypothetical(text, match) or reported(text, match))


def in_question(text: str, match: re.Match[str]) -> bool:
    """Whether the sentence of the match ends with a question mark."""
    end = _SENTENCE_END.search(text, match.end(), match.end() + _LONGEST_CLAUSE)
    return match[0].endswith("?") or (end is not None and end[0] == "?")


def in_order(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The spans by position; one that overlaps an earlier one is left out."""
    kept: list[Span] = []
    for item in sorted(spans):
        if not kept or item.start >= kept[-1].end:
            kept.append(item)
    return tuple(kept)


def _positions(reply: str, sentences: Iterable[str]) -> Iterator[int]:
    start = 0
    for sentence in sentences:
        start = reply.index(sentence, start)
        yield start
        start += len(sentence)
