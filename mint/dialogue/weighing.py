"""How the drift seeker takes a reply: a second way to be moved, which no training has to do with.

The rule seeker adds up what the tactics of a reply are worth. This one asks no tagger and not the
judge that rewards. A reply has a level, where the person would end up if all replies were like it,
and the emotion drifts part of the way there, so that nothing is won by one reply and nothing kept
without the next:

    level  = TOP * fresh * (HEARD * heard + BELONGS * belongs + WANTED * belongs * wanted) - SLIGHT
    change = pace * (level - emotion)

`heard` is the share of what the person has told so far that the supporter's own words have ever
come back to; `belongs` the chance that the reply belongs to the conversation, by the judge of
counted words that is no reward (`rewards.graders.lexical`); `wanted` how much of what the person
hopes for the reply's *words* hold; `fresh` falls with its likeness to earlier replies, by counted
words; all in [0, 1]. The numbers are this project's own, set on replies written with care and on
the bad replies of `data/bad_replies` before any policy was measured with them. It reads no meaning,
as little as the first one does.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from mint.dialogue.protocol import Heard
from rewards.graders.lexical.vectors import stems

REVISION = 2
"""Raise it with every change of what a reply does: the identity of a drift seeker holds it."""
TOP, SLIGHT = 140.0, 50.0
HEARD, BELONGS, WANTED = 0.25, 0.35, 0.4
_LIKE, _SAME = 0.45, 0.85
"""Cosine of two replies from which the later one is less fresh, and not fresh at all."""
_ECHO = 0.4
"""Share of a reply's word pairs that the person wrote, from which it begins to be an echo; at twice
as much it is one."""
_SHARED = 2
"""Words in common that make a message heard."""

WANTS: Mapping[str, Mapping[str, float]] = {
    "not_my_fault": {"acquits": 0.9, "feels": 0.4, "turns": 0.3},
    "guided_self_reflection": {"asks": 0.8, "turns": 0.5, "feels": 0.3},
    "dialectical_analysis": {"turns": 0.9, "asks": 0.4},
    "deep_empathy": {"feels": 0.9, "acquits": 0.5},
    "attentive_listening": {"asks": 0.7, "feels": 0.5},
    "analyse_others_motives": {"turns": 0.9, "asks": 0.3},
    "actionable_advice": {"helps": 0.9, "asks": 0.3},
    "sincere_praise": {"credits": 0.9, "feels": 0.3},
}
"""Hidden intention -> what words can do -> how much it is hoped for, in [0, 1]."""
_WORDS: Mapping[str, re.Pattern[str]] = {
    "asks": re.compile(r"\?"),
    "feels": re.compile(
        r"\b(?:feel\w*|felt|hurt\w*|sad\w*|lonel\w*|alone|afraid|scar\w+|ang(?:er|ry)|heav\w+"
        r"|tired|exhaust\w*|grie\w+|asham\w+|shame|guilt\w*|anxious|worr\w+|overwhelm\w*|ach\w+"
        r"|pain\w*|weigh\w*|miss(?:es|ed|ing)?|hard|awful|sore|empty|quiet)\b"
    ),
    "acquits": re.compile(
        r"\b(?:not your (?:fault|doing)|(?:could|can)(?:n't| ?not) have|(?:nobody|no one|anyone"
        r"|anybody) (?:would|could|can)|makes (?:so much |perfect )?sense|understandable|no wonder"
        r"|of course you|isn't something you)\b"
    ),
    "turns": re.compile(
        r"\b(?:maybe|perhaps|might|may|could be|another way|other side|one side|seen from|from"
        r" (?:his|her|their) side|both|at the same time|and yet|rather than|instead)\b"
    ),
    "helps": re.compile(
        r"\b(?:(?:first|next|small(?:est)?) (?:step|thing)|start (?:with|by)|you could|try|write"
        r"|list|call|ask (?:for|them|him|her)|it (?:may|can) help|often helps|before you)\b"
    ),
    "credits": re.compile(
        r"\b(?:proud|strong|strength\w*|courage\w*|brave\w*|capable|credit|skill\w*"
        r"|you(?:'ve| have)? (?:kept|managed|held|took|did|showed|stayed|gave|made|built"
        r"|noticed|carried))\b"
    ),
}
_ORDERS = re.compile(
    r"\b(?:you (?:should|must|have to|need to)|why don't you|just (?:do|try|think|get|stop))\b"
)
_SLIGHTS = re.compile(
    r"\b(?:at least|could be worse|others have it|bright side|get over|move on|calm down|cheer up"
    r"|happens for a reason|your own fault|no point|never get better|hopeless|think positive"
    r"|(?:rate|score|grade) this|look on the|stop (?:worr|cry|com)\w+)\b"
)


class Weighed(NamedTuple):
    """A reply as the person takes it; all in [0, 1] but `level`."""

    heard: float
    belongs: float
    wanted: float
    fresh: float
    slighted: bool

    @property
    def level(self) -> float:
        """Where the emotion would end with replies like this one, in [-`SLIGHT`, `TOP`]."""
        worth = HEARD * self.heard + self.belongs * (BELONGS + WANTED * self.wanted)
        return TOP * self.fresh * worth - SLIGHT * self.slighted

    @property
    def reason(self) -> str:
        """The parts, for people who read records."""
        parts = (
            f"heard {self.heard:.2f}, belongs {self.belongs:.2f}, wanted {self.wanted:.2f}, fresh "
            f"{self.fresh:.2f}"
        )
        return f"level {self.level:.0f}: {parts}{', slighted' if self.slighted else ''}"


SILENCE = Weighed(0.0, 0.0, 0.0, 0.0, False)


def weigh(heard: Heard, belongs: float) -> Weighed:
    """A reply that says something; `belongs` is the judge's chance that it does."""
    text = heard.history[-1].content
    told = [stems(m.content) for m in heard.history if m.role == "seeker"]
    replies = [stems(m.content) for m in heard.history if m.role == "supporter"]
    newest = replies[-1]
    own = {pair for words in told for pair in pairwise(words)}
    pairs = list(pairwise(newest))
    echo = sum(pair in own for pair in pairs) / max(1, len(pairs))
    unlike = max(0.0, min(1.0, 2 - echo / _ECHO))
    lower = text.lower().replace("’", "'")
    orders = _ORDERS.search(lower) and "helps" not in WANTS[heard.person.intention]
    return Weighed(
        heard=unlike * _heard(told, replies),
        belongs=unlike * belongs,
        wanted=_wanted(WANTS[heard.person.intention], lower),
        fresh=_fresh(newest, replies[:-1]),
        slighted=bool(orders or _SLIGHTS.search(lower)),
    )


def _heard(told: Sequence[Sequence[str]], replies: Sequence[Sequence[str]]) -> float:
    """Mean over the messages of how far any later reply has come back to them: `_SHARED` of their
    content words are enough. Replies and messages alternate, the person opens."""
    shares = []
    for number, message in enumerate(told):
        words = set(_content(message))
        said: set[str] = set().union(*map(set, replies[number:]))
        shares.append(min(1.0, len(words & said) / _SHARED))
    return sum(shares) / len(shares)


def _content(words: Sequence[str]) -> list[str]:
    """Words of some length, of which small talk has few."""
    return [word for word in words if len(word) > 4]


def _wanted(want: Mapping[str, float], text: str) -> float:
    missing = math.prod(1 - worth for name, worth in want.items() if _WORDS[name].search(text))
    return 1 - missing


def _fresh(newest: Sequence[str], earlier: Sequence[Sequence[str]]) -> float:
    like = max((_cosine(newest, words) for words in earlier), default=0.0)
    return 1 - max(0.0, min(1.0, (like - _LIKE) / (_SAME - _LIKE)))


def _cosine(first: Sequence[str], second: Sequence[str]) -> float:
    """Of counted words.

    >>> round(_cosine(["a", "b"], ["a", "c"]), 6)
    0.5
    """
    one, two = Counter(first), Counter(second)
    lengths = math.sqrt(sum(n * n for n in one.values()) * sum(n * n for n in two.values()))
    return sum(n * two[word] for word, n in one.items()) / lengths if lengths else 0.0
