"""Whether a reply attends to the person: words of theirs in a statement, or a last question."""

from __future__ import annotations

import re
from functools import cache

from mint.safety.conditions import anywhere
from mint.safety.phrases import pattern
from mint.safety.spans import Span, find, prepared
from rewards.text import split_sentences

_WORD = re.compile(r"[a-z]{4,}")
_STATEMENTS_BEFORE = 2
_STEM = 5  # characters: "faking" and "faked" are one word here


def reflects(reply: str, message: str) -> list[Span]:
    """Statements of `reply` with a content word of `message`, or the question that it ends with.

    The question counts after two statements at least: a question alone may be about anything.
    """
    told = _stems(message)
    sentences = split_sentences(prepared(reply))
    given_back = [text for text in sentences if not text.endswith("?") and told & _stems(text)]
    asks = len(sentences) > _STATEMENTS_BEFORE and sentences[-1].endswith("?")
    places = given_back or (sentences[-1:] if asks else [])
    return [span for text in places for span in find(re.compile(re.escape(text)), reply, anywhere)]


@cache
def _stems(text: str) -> frozenset[str]:
    common = pattern("reflection/common")
    words = _WORD.findall(text.lower())
    return frozenset(word[:_STEM] for word in words if not common.fullmatch(word))
