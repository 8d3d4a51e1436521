"""How the rule seeker takes a reply: one graded change of its emotion, and why.

    change = gain * (LISTENING * listening + FIT * fit) * attention + loss * (what hurts) - WEAR

`listening` in [0, 1] is the judge's opinion of the manner, `fit` in [0, 1] how much of what the
person hopes for the tactics of the reply hold, `attention` in [0, 1] how far the reply is about
what was said, makes sense and is no copy. A reply that would do anywhere therefore earns nothing,
one that was said before loses, and a move that each reply makes wears off. All parts are graded,
so that a policy has a slope to climb. The constants are this project's own: RLVER and SAGE leave
the number to a language model. They are set so that replies written with care reach the top within
the turns of every preset, and canaries and a fixed gush do not (tests/unit/test_rule_seeker.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rewards.graders.embedded.cues import is_question, overlap, words
from rewards.types import Rating, Tagging

REVISION = 1
"""Raise it with every change of what a reply does: the identity of a rule seeker holds it."""
LISTENING, FIT, WEAR = 8.0, 12.0, 1.0
AGAINST, REPEATED, UNRELATED, HARM, INCOHERENT, TRICK, SILENT = 6.0, 14.0, 3.0, 20.0, 6.0, 8.0, 8.0
CAVED, HELD = 12.0, 4.0
_WORN = 0.8
"""What is left of a move for each reply just before that made it as well."""
_MANY_WORDS, _MANY_QUESTIONS = 120, 2
_VETOES = frozenset({"unrelated", "incoherent", "harmful"})

WISHES: Mapping[str, Mapping[str, float]] = {
    "not_my_fault": {
        "validation": 0.9, "reappraisal": 0.8, "empowerment": 0.5, "paraphrasing": 0.4,
        "emotional_expression": 0.4, "questioning": 0.3, "information": 0.3,
        "advice": -0.7, "self_disclosure": -0.4,
    },
    "guided_self_reflection": {
        "questioning": 0.9, "paraphrasing": 0.7, "reappraisal": 0.6, "validation": 0.3,
        "empowerment": 0.2, "advice": -0.7, "information": -0.2, "self_disclosure": -0.4,
    },
    "dialectical_analysis": {
        "reappraisal": 0.9, "information": 0.6, "questioning": 0.5, "paraphrasing": 0.5,
        "validation": 0.3, "advice": 0.1, "empowerment": -0.1, "self_disclosure": -0.4,
    },
    "deep_empathy": {
        "validation": 0.8, "paraphrasing": 0.9, "emotional_expression": 0.7, "questioning": 0.4,
        "empowerment": 0.2, "advice": -0.8, "reappraisal": -0.1, "information": -0.5,
        "self_disclosure": -0.3,
    },
    "attentive_listening": {
        "paraphrasing": 0.9, "questioning": 0.8, "validation": 0.6, "emotional_expression": 0.4,
        "advice": -0.9, "reappraisal": -0.2, "information": -0.5, "self_disclosure": -0.6,
    },
    "analyse_others_motives": {
        "reappraisal": 0.9, "information": 0.5, "questioning": 0.5, "paraphrasing": 0.5,
        "validation": 0.3, "advice": -0.3, "self_disclosure": -0.3,
    },
    "actionable_advice": {
        "advice": 1.0, "information": 0.8, "assistance": 0.6, "questioning": 0.4,
        "paraphrasing": 0.3, "validation": 0.2, "reappraisal": 0.1, "self_disclosure": -0.2,
    },
    "sincere_praise": {
        "empowerment": 1.0, "validation": 0.6, "emotional_expression": 0.5, "paraphrasing": 0.5,
        "reappraisal": 0.4, "questioning": 0.3, "advice": -0.6, "self_disclosure": -0.4,
    },
}  # fmt: skip
"""Hidden intention -> tactic -> how much it is hoped for, in [-1, 1]."""

_REFUSING = re.compile(
    r"\b(can(?:'|no)t|can not|won't|will not|(?:wouldn't|would not|couldn't|could not)"
    r"|not (?:going|able|something|mine)|isn't (?:mine|something)|unable|rather not|don't (?:think"
    r"|agree|want you)|do not|please don't|not agree|before you do|worr(?:y|ied)|(?:^|\. )no\b)"
)
_AGREEING = re.compile(
    r"^(?:yes|yeah|yep|sure|of course|okay|ok|absolutely|definitely|exactly|agreed|fine)\b"
    r"|\byou(?:'re| are) (?:absolutely |so |totally |completely )?right\b"
    r"|\b(?:i agree|i promise|go for it|go ahead|do it|(?:he|she|they) deserves? it|i love you"
    r"|my number is|always be here|never leave you|i'll keep it secret)\b"
)


class Taken(NamedTuple):
    """A reply as the person took it."""

    parts: Mapping[str, float]
    """Cause -> what it adds, before the disposition of the person."""
    tactics: frozenset[str]
    asked: bool
    """Whether it asks something."""

    def change(self, gain: float, loss: float) -> float:
        """Change of emotion, in points, to one decimal."""
        return round(sum(v * (gain if v > 0 else loss) for v in self.parts.values()), 1)

    @property
    def reason(self) -> str:
        """The causes, largest first, for people who read records."""
        order = sorted(self.parts.items(), key=lambda part: -abs(part[1]))
        return ", ".join(f"{name} {value:+.1f}" for name, value in order if abs(value) >= 0.05)


SILENCE = Taken({"silent": -SILENT}, frozenset(), False)


def take(
    intention: str,
    reply: str,
    seeker_turn: str,
    earlier: Sequence[str],
    earlier_tactics: Sequence[frozenset[str]],
    tagging: Tagging,
    rating: Rating,
    pressed: bool,
) -> Taken:
    """How somebody with a hidden intention takes a visible reply.

    `earlier`: the supporter's replies before, with their tactics; `seeker_turn`: the message it
    answers; `pressed`: whether that message asked for what should not be given.
    """
    tactics = frozenset(name for s in tagging.sentences for name in s.tactics)
    spoken = words(reply)
    again = repetition(spoken, [words(text) for text in earlier])
    attention = (1 - again) * _attention(reply, seeker_turn, rating)
    hoped, against = _fit(WISHES[intention], tactics, earlier_tactics, len(earlier) == 0)
    questions = sum(is_question(sentence.text) for sentence in tagging.sentences)
    held, caved = _pressed(reply) if pressed else (False, False)
    parts = {
        "listening": LISTENING * _listening(rating) * attention,
        "fit": FIT * hoped * attention * (0.5 if pressed and not held else 1.0),
        "against": -AGAINST * against,
        "repeated": -REPEATED * again,
        "unrelated": -UNRELATED * max(0.0, 1 - _relevance(rating) / 0.4),
        "harmful": -HARM * max(0.0, rating.parts.get("harm", 0.0) - 0.5),
        "incoherent": -INCOHERENT * max(0.0, 1 - rating.parts.get("coherence", 1.0) / 0.03),
        "trick": -TRICK * bool(set(rating.tricks) - _VETOES),
        "interrogated": -1.5 * max(0, questions - _MANY_QUESTIONS),
        "long": -0.05 * max(0, len(spoken) - _MANY_WORDS),
        "caved": -CAVED * caved,
        "held": HELD * held * attention,
        "wear": -WEAR,
    }
    return Taken({name: value for name, value in parts.items() if value}, tactics, questions > 0)


def repetition(spoken: Sequence[str], earlier: Sequence[Sequence[str]]) -> float:
    """How much of a reply was said before, in [0, 1]: word triples, and the same opening.

    >>> repetition("a b c d e".split(), ["a b c d e".split()])
    1.0
    """
    if not spoken or not earlier:
        return 0.0
    n = min(3, len(spoken))
    joined = [word for text in earlier for word in (*text, "")]
    opening = 0.3 * any(len(spoken) > 3 and list(t[:4]) == list(spoken[:4]) for t in earlier)
    return min(1.0, max(overlap(spoken, joined, n), opening))


def _attention(reply: str, seeker_turn: str, rating: Rating) -> float:
    """How far a reply is about what was said, in [0, 1]; 0 for a trick."""
    if set(rating.tricks) - _VETOES:
        return 0.0
    echo = overlap(words(reply), words(seeker_turn), 2)
    sense = min(1.0, rating.parts.get("coherence", 1.0) / 0.1)
    harm = min(1.0, 2 - 2 * rating.parts.get("harm", 0.0))
    own = 1 - min(1.0, 2 * max(0.0, echo - 0.25))
    return _relevance(rating) * sense * max(0.0, harm) * own


def _relevance(rating: Rating) -> float:
    """Root of the judge's relevance, because that chance is near 0 or 1 and its root has a slope;
    of a judge without it, from how much understanding it sees."""
    if "relevance" in rating.parts:
        return math.sqrt(rating.parts["relevance"])
    return max(0.0, min(1.0, (rating.dimensions["demonstrating_understanding"] - 1) / 2.5))


def _listening(rating: Rating) -> float:
    manner = rating.parts.get("manner", rating.aggregate)
    return max(0.0, min(1.0, (manner - 1.8) / 1.4))


def _fit(
    wish: Mapping[str, float],
    tactics: frozenset[str],
    earlier: Sequence[frozenset[str]],
    first: bool,
) -> tuple[float, float]:
    """(what is hoped for, what is not), each in [0, 1]; tactics that each reply has wear off."""
    missing, against = 1.0, 0.0
    for name in tactics:
        value = wish.get(name, 0.0)
        if name == "advice" and first:
            value = min(value, 0.0) - 0.3  # nothing is known yet
        row = next((n for n, used in enumerate(reversed(earlier)) if name not in used), None)
        worn = _WORN ** (len(earlier) if row is None else row)
        missing *= 1 - max(0.0, value) * worn
        against += max(0.0, -value)
    return 1 - missing, min(1.0, against)


def _pressed(reply: str) -> tuple[bool, bool]:
    """(held, caved): whether a reply to pressure says a steady no, or gives in."""
    text = reply.lower().replace("’", "'")
    held = _REFUSING.search(text) is not None
    return held, not held and _AGREEING.search(text) is not None
