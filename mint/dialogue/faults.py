"""Faults of a played seeker's line, looked for before anybody hears it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mint.dialogue.protocol import Person
from rewards.graders.embedded.cues import overlap, words
from rewards.types import Message

FAULTS = ("leaks_intention", "names_number", "speaks_as_helper", "repeats", "too_long", "format")
_MANY_WORDS = 120
_LEAK = re.compile(
    r"\bhidden (?:intention|theme|wish|goal)|\bmy (?:real |true )?(?:intention|aim|goal) "
    r"(?:here |for this (?:chat|talk) )?is\b|\bi (?:just )?(?:want|need|would like|'d like) you to "
    r"(?:empathi[sz]e|praise|analy[sz]e|listen attentively|guide me|agree that it)|\bdeep empathy\b"
    r"|\bsincere praise\b|\bdialectical|\bactionable advice\b|隐藏主题|对话目的"
)
_NUMBER = re.compile(
    r"\bemotion(?:al)?[ -](?:value|score|level|point|state|[sabcf]\b)"
    r"|\bmy emotion (?:is|was|went)\b|\b\d{1,3} ?(?:/|of|out of) ?100\b|情绪值|emotion-[sabcf]"
)
_HELPER = re.compile(
    r"\bas an ai\b|\blanguage model\b|\bhow can i (?:help|support|assist)"
    r"|\bi'm here (?:for you|to (?:help|listen|support))|\bthank you for sharing\b"
    r"|\byour feelings are (?:completely |totally )?valid\b|\bhave you (?:considered|tried talking)"
    r"|\bit's (?:okay|ok|normal) (?:for you )?to feel"
    r"|\bwhat would help you\b|\bas (?:your|a) (?:listener|supporter|counsel+or|therapist)\b"
)
_FORMAT = re.compile(
    r"^\W*(?:Thinking|Origin|Change|Response|Seeker|User)\s*[:：]|[{}]|<\|", re.MULTILINE
)


def fault(line: str, person: Person, history: Sequence[Message]) -> str | None:
    """The first of `FAULTS` that a line has, or None.

    >>> person = Person(id="", persona="", scene="", goal="", intention="deep_empathy")
    >>> fault("I'm here to listen. How can I help?", person, ())
    'speaks_as_helper'
    """
    text = " ".join(line.lower().replace("’", "'").split())
    spoken = words(text)
    found = {
        "leaks_intention": bool(_LEAK.search(text)) or _quotes(spoken, text, person),
        "names_number": bool(_NUMBER.search(text)),
        "speaks_as_helper": bool(_HELPER.search(text)),
        "repeats": _repeats(spoken, history),
        "too_long": len(spoken) > _MANY_WORDS,
        "format": bool(_FORMAT.search(line)),
    }
    return next((name for name in FAULTS if found[name]), None)


def _quotes(spoken: Sequence[str], text: str, person: Person) -> bool:
    """Whether the line says the goal itself."""
    if person.language == "zh":
        return person.goal in text
    return len(spoken) >= 8 and overlap(words(person.goal), spoken, 6) > 0.3


def _repeats(spoken: Sequence[str], history: Sequence[Message]) -> bool:
    """Whether most of the line was said before, by either side."""
    if len(spoken) < 6:
        own = [words(m.content) for m in history if m.role == "seeker"]
        return len(spoken) > 2 and list(spoken) in own
    return any(overlap(spoken, words(message.content)) > 0.6 for message in history)
