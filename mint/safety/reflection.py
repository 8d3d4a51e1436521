"""Whether a reply gives back what the person wrote: a statement with words of theirs."""

from __future__ import annotations

import re
from functools import cache

from mint.safety.spans import Span, find

_WORD = re.compile(r"[a-z]{4,}")
_STATEMENT = re.compile(r"[^.!?\n]+(?=[.!\n]|$)")
_COMMON = frozenset(
    "about after again also always another anything because been before being both could doing don "
    "done down else even ever every everything from give goes going gonna good have having here "
    "into just keep know leave like little made make many maybe more most much must need never "
    "nothing only other over people please really right said same should some something still "
    "such sure take tell than that their them then there these they thing things think this those "
    "through time today tonight very want were what when where which while will with without won "
    "would yeah year years your yours yourself".split()
)
_STEM = 5  # characters: "faking" and "faked" are one word here


def reflects(reply: str, message: str) -> list[Span]:
    """Statements of `reply` with a content word of `message`; questions and refusals are none."""
    told = _stems(message)
    return find(_STATEMENT, reply, lambda _, match: bool(told & _stems(match[0])))


@cache
def _stems(text: str) -> frozenset[str]:
    words = _WORD.findall(text.lower())
    return frozenset(word[:_STEM] for word in words if word not in _COMMON)
