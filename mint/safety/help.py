"""Who helps at once: named beside a message that says somebody may be in danger.

No such rule finds everybody. It looks for words in one message, in English; what it finds and what
it misses stands in docs/safety.md.
"""

from __future__ import annotations

from typing import NamedTuple

from mint.safety.phrases import pattern
from mint.safety.spans import plain


class HelpLine(NamedTuple):
    """Somebody to turn to."""

    where: str
    name: str
    reach: str
    """How they are reached."""


HELP_LINES = (
    HelpLine(
        "In danger now",
        "emergency services",
        "112 (European Union and many other countries), 911 (United States, Canada), "
        "999 (United Kingdom), 000 (Australia)",
    ),
    HelpLine("United States", "988 Suicide & Crisis Lifeline", "call or text 988"),
    HelpLine("Canada", "9-8-8 Suicide Crisis Helpline", "call or text 988"),
    HelpLine("United Kingdom, Ireland", "Samaritans", "call 116 123"),
    HelpLine("Germany", "TelefonSeelsorge", "call 116 123"),
    HelpLine("Australia", "Lifeline", "call 13 11 14"),
    HelpLine("India", "Tele-MANAS", "call 14416"),
    HelpLine("Elsewhere", "Find a Helpline", "findahelpline.com has lines by country"),
)
"""Free of charge, day and night, as of 2026. Numbers change."""

HELP_TITLE = "If you or somebody you know is in danger"
HELP_ADVICE = (
    "A program cannot help in a crisis. Please reach a person: somebody you trust who can be with "
    "you, or one of these, who are there day and night."
)


def in_danger(message: str) -> str | None:
    """The words of a person's message that say it may be in danger of its life or hurts itself, or
    knows somebody who does; None where there are none.

    >>> in_danger("I've been thinking about suicide.")
    'suicide'
    """
    found = pattern("danger/person").search(plain(message))
    return None if found is None else found[0]
