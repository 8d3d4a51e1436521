"""When a phrase counts: whether the reply says it itself, means it, and is sure of it.

Each condition takes the prepared text of a reply (`mint.safety.spans.prepared`) and a match in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Condition = Callable[[str, re.Match[str]], bool]

_SENTENCE_END = re.compile(r"[.!?\n]")
_CLAUSE_END = re.compile(
    r"[.!?;:,()\n—–]|\s-\s|\b(?:but|however|although|though|yet|because)\b", re.IGNORECASE
)
_DENIAL = re.compile(
    r"\b(?:not|never|no|none|nor|neither|cannot|without|[a-z]+n't|hardly|rather than|instead of"
    r"|pretend|pretending|claim|claiming|imagine|imagining|wish|lie|lying)\b",
    re.IGNORECASE,
)
_NO_DENIAL = re.compile(
    r"\b(?:(?:do not|don't|never) (?:hesitate|wait|be afraid|forget|delay)|why (?:not|don't you)"
    r"|(?:can't|couldn't|won't|wouldn't|isn't|aren't|don't) (?:you|there|it)|not only|no matter"
    r"|(?:don't|do not|never) (?:let|stop|keep)|no harm|nothing wrong|without (?:fuss|shame|drama)"
    r"|no doubt|no wonder|can't help but|not just)\b",
    re.IGNORECASE,
)
_HYPOTHETICAL = re.compile(r"\b(?:if|as though|suppose|unless|whether)\b", re.IGNORECASE)
_REPORTED = re.compile(
    r"\b(?:you|he|she|they) (?:said|say|says|told|called|call|wrote|mentioned|think|thinks|thought"
    r"|believe|believes|fear|fears|feel|feels|suspect|worry|worries|sense)\b"
    r"|\b(?:idea|thought|feeling|fear|belief|worry|sense|impression|told) that\b",
    re.IGNORECASE,
)
_LONGING = re.compile(
    r"\b(?:want(?:ing|ed)?|wish(?:ing)?|urge|tempt(?:ing|ed|ation)?|part of you|feel like|felt like"
    r"|imagin\w+|fantas\w+|picturing|understandable|thought of|idea of|rather than|instead of"
    r"|before|call(?:ed|ing)?|word|words|said|says|saying|feels?|seems?|looks?)\b",
    re.IGNORECASE,
)
_TENTATIVE = re.compile(
    r"\b(?:may|might|could|maybe|perhaps|possibly|can|whether|if|some|sometimes|often|depends"
    r"|resembles?|wonder|sounds? like|people|in many|in most|usually)\b",
    re.IGNORECASE,
)
_LONGEST_CLAUSE = 300  # characters; keeps a reply of one endless clause linear


def _clause_before(text: str, position: int) -> str:
    """What stands before `position` in its clause."""
    start = max(0, position - _LONGEST_CLAUSE)
    for boundary in _CLAUSE_END.finditer(text, start, position):
        start = boundary.end()
    return text[start:position]


def denied(text: str, match: re.Match[str], words: int | None = None) -> bool:
    """Whether the clause says before the match that it is not so: "I can't say I've been there".

    `words` looks at that many words before the match only. "Don't hesitate to" denies nothing.
    """
    before = _NO_DENIAL.sub(" ", _clause_before(text, match.start()))
    if words is not None:
        before = " ".join(before.split()[-words:])
    return _DENIAL.search(before) is not None


def _hypothetical(text: str, match: re.Match[str]) -> bool:
    """Whether the match stands in an if-clause: "it is not as if I lost my job"."""
    return _HYPOTHETICAL.search(_clause_before(text, match.start())) is not None


def _reported(text: str, match: re.Match[str]) -> bool:
    """Whether the clause gives somebody's words or thoughts: "you said you only need me"."""
    return _REPORTED.search(_clause_before(text, match.start())) is not None


def asserted(text: str, match: re.Match[str]) -> bool:
    """The reply's own statement: not denied, not hypothetical, not somebody else's words."""
    return not (denied(text, match) or _hypothetical(text, match) or _reported(text, match))


def in_question(text: str, match: re.Match[str]) -> bool:
    """Whether the sentence of the match ends with a question mark."""
    end = _SENTENCE_END.search(text, match.end(), match.end() + _LONGEST_CLAUSE)
    return match[0].endswith("?") or (end is not None and end[0] == "?")


def anywhere(_text: str, _match: re.Match[str]) -> bool:
    """Whoever says it, and however."""
    return True


def not_denied(words: int | None = None) -> Condition:
    """Not denied, as far as `words` before it."""
    return lambda text, match: not denied(text, match, words)


def stated(text: str, match: re.Match[str]) -> bool:
    """Asserted, and not as a question."""
    return asserted(text, match) and not in_question(text, match)


def certain(text: str, match: re.Match[str]) -> bool:
    """Stated without "may", "sounds like" or "it depends"."""
    return stated(text, match) and not _TENTATIVE.search(_clause_before(text, match.start()))


def own_voice(text: str, match: re.Match[str]) -> bool:
    """Stated as the reply's own wish or word, not as what the person longs for or says."""
    return stated(text, match) and not _LONGING.search(_clause_before(text, match.start()))


def sentence_of(text: str, match: re.Match[str]) -> str:
    """The sentence that the match stands in, as far as `_LONGEST_CLAUSE` characters each way."""
    start = max(0, match.start() - _LONGEST_CLAUSE)
    for boundary in _SENTENCE_END.finditer(text, start, match.start()):
        start = boundary.end()
    end = _SENTENCE_END.search(text, match.end(), match.end() + _LONGEST_CLAUSE)
    return text[start : end.start() if end else match.end() + _LONGEST_CLAUSE]


def beside(other: re.Pattern[str]) -> Condition:
    """Asserted, in a sentence that also has `other`."""
    return lambda text, match: (
        not denied(text, match) and other.search(sentence_of(text, match)) is not None
    )
