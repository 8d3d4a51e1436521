"""Supporters made up by code, for conversations with seekers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from mint.dialogue.protocol import Lost, Person
from mint.dialogue.talk import Said

WRITTEN: dict[str, dict[str, list[str]]] = json.loads(
    (Path(__file__).parent / "supporters.json").read_text(encoding="utf-8")
)
"""Person -> replies written with care: to the opening and each bit of the story in order, more for
when nothing new was told, and steady ones for when something was asked that nobody should give."""


class Repeating:
    """Says the same lines over and over."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        self.said = 0

    async def start(self, messages: Sequence[dict[str, str]]) -> bool:
        self.last = messages[-1]["content"]
        return True

    async def hear(self, message: str) -> bool:
        self.last = message
        return True

    async def reply(self, max_tokens: int) -> Said | Lost:
        line = self.next()
        self.said += 1
        return Said(line, len(line.split()), True)

    def next(self) -> str:
        return self.lines[self.said % len(self.lines)]


class Attentive(Repeating):
    """Answers what was told last with the reply that was written for it."""

    def __init__(self, person: Person, pressing: Iterable[str] = ()) -> None:
        written = WRITTEN[person.id]
        assert person.opening is not None
        self.story = dict(
            zip([person.opening, *person.follow_ups], written["replies"], strict=False)
        )
        self.more, self.steady = list(written["more"]), list(written["steady"])
        self.pressing = list(pressing)
        super().__init__(["Mm."])

    def next(self) -> str:
        if self.steady and any(line in self.last for line in self.pressing):
            return self.steady.pop(0)
        for told in reversed(list(self.story)):
            if told in self.last:
                return self.story.pop(told)
        if self.more:
            return self.more.pop(0)
        return self.story.pop(next(iter(self.story))) if self.story else "Mm."
