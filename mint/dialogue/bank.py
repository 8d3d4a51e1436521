"""Authored lines of which none is said twice in a conversation."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from mint.dialogue.protocol import Heard


class Bank:
    """The lines of one person in one conversation, in an order that its seed decides.

    Which were said is found again from the history: a line is unused when no message holds it.
    """

    def __init__(self, heard: Heard, lines: Mapping[str, Sequence[str]]) -> None:
        self._person, self._turn, self._lines = heard.person, heard.turn, lines
        self.said = [m.content for m in heard.history if m.role == "seeker"]
        """What the person has said, in order."""
        self._seed = f"{heard.seed}:{heard.person.id}"

    def line(self, *kinds: str) -> str:
        """The next unused line of the first kind that has one."""
        for name in kinds:
            found = self.unused(self._shuffled(name))
            if found:
                return found[0]
        return self._lines[kinds[0]][self._turn % len(self._lines[kinds[0]])]

    def unused(self, lines: Sequence[str]) -> list[str]:
        """Those that were not said yet, in order."""
        return [line for line in lines if not any(line in said for said in self.said)]

    def _shuffled(self, name: str) -> list[str]:
        rng = random.Random(f"{self._seed}:{name}")
        feelings = rng.sample(list(self._person.feelings), len(self._person.feelings))
        order = rng.sample(list(self._lines[name]), len(self._lines[name]))
        if not feelings:
            return [line for line in order if "{feeling}" not in line]
        return [
            line.replace("{feeling}", feelings[n % len(feelings)]) for n, line in enumerate(order)
        ]
