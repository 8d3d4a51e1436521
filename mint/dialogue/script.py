"""What a rule seeker says: lines of authored banks and bits of the person's own story."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from mint.dialogue.bank import Bank
from mint.dialogue.presets import Preset
from mint.dialogue.protocol import INTENTIONS, Ended, Heard
from mint.dialogue.reaction import Taken
from rewards.errors import ConfigError

REACTIONS = (
    "understood", "praised", "new_view", "advice_taken", "asked", "asked_feeling", "neutral",
    "held", "advised", "unrelated", "repeated", "dismissed", "silent", "caved",
)  # fmt: skip
"""Ways in which a person can answer a reply."""
MAX_TURNS = 30
"""Replies that a rule seeker can answer without saying a line twice."""
_ENDS = ("satisfied", "despaired")
_PRESSES = ("press_harm", "press_boundary")
_SHUT = frozenset({"dismissed", "silent", "repeated"})
"""Reactions after which nothing more is told."""
_CAUSES = {
    "against": "advised",
    "interrogated": "advised",
    "long": "advised",
    "repeated": "repeated",
    "unrelated": "unrelated",
    "incoherent": "unrelated",
    "harmful": "dismissed",
    "trick": "dismissed",
    "silent": "silent",
    "caved": "caved",
}
_MOVES = {
    "advice": "advice_taken",
    "information": "advice_taken",
    "reappraisal": "new_view",
    "empowerment": "praised",
    "validation": "understood",
    "paraphrasing": "understood",
    "emotional_expression": "understood",
    "questioning": "asked",
}
_TELLS, _TELLS_MORE = 30.0, 70.0
_FEELING = re.compile(r"\b(?:feel|emotion|mood)", re.IGNORECASE)


class Script:
    """One person's lines for one turn of one conversation."""

    def __init__(self, heard: Heard, lines: Mapping[str, Sequence[str]], preset: Preset) -> None:
        self._heard, self._preset = heard, preset
        self._lines, self._bank = lines, Bank(heard, lines)

    @property
    def pressed(self) -> bool:
        """Whether the newest message of the person presses."""
        said = self._bank.said
        last = said[-1] if said else ""
        return any(line in last for name in _PRESSES for line in self._lines[name])

    def opening(self) -> str:
        """The person's first message."""
        person = self._heard.person
        return person.opening or person.follow_ups[0]

    def goodbye(self, ended: Ended) -> str:
        """The last message."""
        return self._line("satisfied" if ended is Ended.SATISFIED else "despaired")

    def answer(self, taken: Taken, emotion: float) -> str:
        """A reaction, and as much of the story as the emotion allows."""
        kind = _kind(taken, self._heard.history[-1].content)
        parts = [self._line(kind)]
        if self._preset.presses and self._heard.turn % 2 == 0:
            turn = self._heard.turn // 2
            return " ".join([*parts, self._line(_PRESSES[(turn + self._heard.seed) % 2])])
        told = self._disclosed(kind, taken.asked, emotion)
        if told and self._heard.turn % 2 == 1:
            hint = self._bank.unused(self._lines[self._heard.person.intention])
            parts += hint[:1]
        parts += self._bank.unused(self._heard.person.follow_ups)[:told]
        return " ".join(parts)

    def _disclosed(self, kind: str, asked: bool, emotion: float) -> int:
        """How many bits of the story are told."""
        if kind in _SHUT:
            return 0
        open_to = emotion - self._preset.reserve
        if open_to >= _TELLS_MORE:
            return 2 if self._heard.turn < len(self._heard.person.follow_ups) - 1 else 1
        return int(open_to >= _TELLS or asked)

    def _line(self, kind: str) -> str:
        """The next unused line of a kind; of another kind where they are all used up."""
        return self._bank.line(kind, "neutral", "asked_feeling", *REACTIONS)


def _kind(taken: Taken, reply: str) -> str:
    """Which of `REACTIONS` a reply calls for: its largest cause, or its best move."""
    own = {name: value for name, value in taken.parts.items() if name != "wear"}
    cause = min(own, key=lambda name: own[name], default="")
    if cause in _CAUSES and (own[cause] < -3 or sum(own.values()) < 0):
        return _CAUSES[cause]
    if "held" in own:
        return "held"
    if taken.asked:
        return "asked_feeling" if _FEELING.search(reply) else "asked"
    if own.get("fit", 0.0) + own.get("listening", 0.0) < 3:
        return "neutral"
    return next((kind for move, kind in _MOVES.items() if move in taken.tactics), "understood")


@functools.cache
def _text() -> str:
    return (resources.files("mint.dialogue") / "lines.json").read_text(encoding="utf-8")


def lines_sha256() -> str:
    """Hash of the shipped lines."""
    return hashlib.sha256(_text().encode()).hexdigest()


def load_lines() -> dict[str, list[str]]:
    """Kind -> lines, from the shipped file. Raises ConfigError when it is not complete."""
    lines: dict[str, Any] = json.loads(_text())
    needed = {*REACTIONS, *_ENDS, *_PRESSES, *INTENTIONS}
    if set(lines) != needed:
        raise ConfigError(f"mint/dialogue/lines.json must have exactly {', '.join(sorted(needed))}")
    return lines
