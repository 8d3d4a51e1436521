"""A person at a keyboard as seeker."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from mint.dialogue.presets import Preset
from mint.dialogue.protocol import EmotionRules, Ended, Heard, Lost, SeekerTurn, Who

_CHANGE = re.compile(r"\s*([+-]\d{1,3})\b\s*(.*)", re.DOTALL)
GOODBYE = "/bye"


class HumanSeeker:
    """Whoever answers `ask`, a queue or a terminal: the next message, before it the change of
    emotion where one is felt ("+5 yes, that's it"), or /bye."""

    def __init__(self, preset: Preset, ask: Callable[[Heard], Awaitable[str]]) -> None:
        self._preset, self._ask = preset, ask

    @property
    def identity(self) -> dict[str, Any]:
        """Kind and preset."""
        return {"kind": "human", "preset": self._preset.name}

    @property
    def rules(self) -> EmotionRules:
        """See `Seeker`."""
        return self._preset.rules

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        """See `Seeker`; lost where nothing was written."""
        line = (await self._ask(heard)).strip()
        match = _CHANGE.fullmatch(line) if heard.history else None
        change, message = (int(match[1]), match[2].strip()) if match else (0, line)
        emotion = self.rules.after(heard.emotion, change)
        ended = Ended.CLOSED if message == GOODBYE else self.rules.ended(emotion)
        if ended is None and not message:
            return Lost(Who.SEEKER, "utterance" if heard.history else "open", "empty", "no message")
        return SeekerTurn(
            message=None if message in ("", GOODBYE) else message,
            emotion=emotion,
            change=emotion - heard.emotion,
            reason="felt",
            ended=ended,
        )
