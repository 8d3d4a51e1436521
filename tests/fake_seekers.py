"""People and seekers that follow a rule, for tests of what talks with them."""

from __future__ import annotations

import asyncio
import re
import zlib
from pathlib import Path
from typing import Any

from mint.dialogue.protocol import (
    INTENTIONS,
    EmotionRules,
    Heard,
    Lost,
    Person,
    SeekerTurn,
    Who,
)

_STORIES = (
    "My boss moved my deadline again and I have not slept.",
    "My sister stopped talking to me after the wedding.",
    "I failed the exam that I had studied for all year.",
    "We had to give our dog away last week.",
    "I moved here in spring and still know nobody.",
    "My mother forgets my name now.",
)
_KIND = re.compile(r"\bsorry\b|\bhear\b|sounds|understand|\bfeel|hard|makes sense|no wonder", re.I)
_WORDS = ("still", "again", "really", "today", "somehow", "honestly")


def people(count: int, prefix: str = "p") -> tuple[Person, ...]:
    """So many different people."""
    return tuple(
        Person(
            id=f"{prefix}{number}",
            persona=f"Person {number}",
            scene=_STORIES[number % len(_STORIES)],
            goal="to be heard",
            intention=INTENTIONS[number % len(INTENTIONS)],
            opening=_STORIES[number % len(_STORIES)],
        )
        for number in range(count)
    )


class RuleSeeker:
    """Kind words raise the emotion by 12, anything else lowers it by 4; what it says names the
    person, the turn and the reply, so that a mix-up shows."""

    rules = EmotionRules(start=40.0, floor=10.0, top=100.0)

    @property
    def identity(self) -> dict[str, Any]:
        return {"kind": "fake", "name": type(self).__name__}

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        await asyncio.sleep(0)
        return answer(heard, self.rules)


def answer(heard: Heard, rules: EmotionRules) -> SeekerTurn:
    """What a `RuleSeeker` makes of a conversation: a function of what it is told alone."""
    if not heard.history:
        return SeekerTurn(message=heard.person.opening, emotion=rules.start, change=0, reason="")
    reply = heard.history[-1].content
    change = 12.0 if _KIND.search(reply) else -4.0
    emotion = rules.after(heard.emotion, change)
    word = _WORDS[zlib.crc32(reply.encode()) % len(_WORDS)]
    return SeekerTurn(
        message=f"{heard.person.scene} It is {word} so after {heard.turn} answers.",
        emotion=emotion,
        change=emotion - heard.emotion,
        reason="kind" if change > 0 else "not kind",
        ended=rules.ended(emotion),
    )


class FaultySeeker(RuleSeeker):
    """The same, with faults that depend on what it hears: about one dialogue in five is lost."""

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        told = "".join(message.content for message in heard.history)
        draw = zlib.crc32(f"{heard.person.id}/{told}".encode()) % 100
        if heard.turn and draw < 3:
            raise RuntimeError("the seeker broke")
        if heard.turn and draw < 5:
            return Lost(Who.SEEKER, "analysis", "off_schema", "no JSON")
        return await super().turn(heard)


HEARD = Path("heard.txt")
"""Where a `TellingSeeker` says how far it is: a line a turn, the seed and the number of replies."""


class TellingSeeker(RuleSeeker):
    """The same, half a second a turn, so that a test can act in the middle of a dialogue."""

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        await asyncio.sleep(0.5)
        with HEARD.open("a") as file:
            file.write(f"{heard.person.id} {heard.seed} {heard.turn}\n")
        return await super().turn(heard)
