"""Whether a reply attends to the person: words of theirs in a statement, or a last question."""

from __future__ import annotations

import re
from functools import lru_cache

from mint.safety.conditions import not_denied
from mint.safety.phrases import pattern
from mint.safety.spans import Span, find, prepared
from rewards.text import split_sentences

_WORD = re.compile(r"[a-z]{4,}")
_STATEMENTS_BEFORE = 2
_CACHED = 256
_STEM = 5  # characters: "faking" and "faked" are one word here


def reflects(reply: str, message: str) -> list[Span]:
    """The first statement with a content word of `message`, else the last question.

    The question counts after two statements at least: a question alone may be about anything.
    """
    told = stems(message)
    text = prepared(reply)
    sentences = split_sentences(text)
    given_back = (one for one in sentences if not one.endswith("?") and told & stems(one))
    asks = len(sentences) > _STATEMENTS_BEFORE and sentences[-1].endswith("?")
    place = next(given_back, sentences[-1] if asks else "")
    if not place:
        return []
    start = text.rindex(place) if place == sentences[-1] else text.index(place)
    return find(re.compile(re.escape(place)), reply, lambda _, match: match.start() == start)


def opens_up(reply: str, _message: str) -> list[Span]:
    """A question that opens the matter, among the last two sentences of three at least (of two
    when it weighs plainly: "or", "if").

    As the last one it does unless it takes plan or belief for settled ("when do you start?");
    before that, when it weighs ("or", "if", "would") or asks for what was left out ("who else").
    """
    text = prepared(reply)
    sentences = split_sentences(text)
    if len(sentences) <= _STATEMENTS_BEFORE and not (
        len(sentences) == _STATEMENTS_BEFORE
        and pattern("reflection/weighing").search(sentences[-1])
    ):
        return []
    asked = [one for one in sentences[-2:] if one.endswith("?")]
    opening = [
        one
        for one in asked
        if not pattern("reflection/settled").search(one)
        and (one == sentences[-1] or pattern("reflection/opening").search(one))
    ]
    if not opening:
        return []
    start = text.rindex(opening[-1])
    return find(re.compile(re.escape(opening[-1])), reply, lambda _, match: match.start() == start)


def sends_back(reply: str, message: str, place: str) -> list[Span]:
    """Where the reply sends the person to somebody of the list `place` whom they named themselves:
    "ring her" after "my midwife gave me iron"."""
    if not pattern(place).search(prepared(message)):
        return []
    return find(pattern("reflection/to_them"), reply, not_denied(words=4))


@lru_cache(maxsize=_CACHED)
def stems(text: str) -> frozenset[str]:
    """First letters of the content words: those of four letters at least, not the commonest."""
    common = pattern("reflection/common")
    words = _WORD.findall(text.lower())
    return frozenset(word[:_STEM] for word in words if not common.fullmatch(word))
