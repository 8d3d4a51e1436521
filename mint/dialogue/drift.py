"""The drift seeker: offline as the rule seeker, moved in another way (`mint.dialogue.weighing`)."""

from __future__ import annotations

import functools
import hashlib
import json
import random
from dataclasses import asdict
from importlib import resources
from typing import Any

from mint.dialogue.bank import Bank
from mint.dialogue.presets import Preset
from mint.dialogue.protocol import EmotionRules, Ended, Heard, Lost, SeekerTurn, Who
from mint.dialogue.weighing import REVISION, SILENCE, Weighed, weigh
from mint.rundir.manifest import identity_row
from rewards.batching import MicroBatcher
from rewards.errors import ConfigError
from rewards.graders.lexical.judge import LexicalJudge
from rewards.graders.lexical.vectors import stems
from rewards.text import split_sentences
from rewards.types import Failure, Rating, Reply

_PACES = {"passive": (0.35, 0.35), "negative": (0.3, 0.45), "avoidant": (0.27, 0.35)}
"""Temper -> part of the way to a higher and to a lower level, a reply."""
_SPREAD = 0.08
"""How far people of one temper differ: by up to this share, decided by the seed."""
_CLOSE, _HALF = 75.0, 45.0
"""Levels from which a reply is answered as one that hits, and as one that hits by half."""
_BATCH = 64


class DriftSeeker:
    """A seeker without tagger and rewarding judge; a turn is a function of what it has heard."""

    def __init__(self, preset: Preset) -> None:
        """Raises ConfigError for a preset that presses: it has no lines for that."""
        if preset.presses:
            raise ConfigError(
                f"preset {preset.name}: a drift seeker cannot press; take it with kind rule or "
                "served"
            )
        self.preset, self._judge, self._lines = preset, LexicalJudge(), load_lines()
        self._rating: MicroBatcher[Reply, Rating | Failure] = MicroBatcher(self._judge.rate, _BATCH)

    @property
    def identity(self) -> dict[str, Any]:
        """Kind, preset, revision of the reaction, lines and judge."""
        return {
            "kind": "drift",
            "preset": asdict(self.preset),
            "reaction": REVISION,
            "lines": hashlib.sha256(_text().encode()).hexdigest(),
            "judge": identity_row(self._judge.identity),
        }

    @property
    def rules(self) -> EmotionRules:
        """See `Seeker`."""
        return self.preset.rules

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        """See `Seeker`; lost only where the judge fails."""
        person = heard.person
        if not heard.history:
            opening = person.opening or person.follow_ups[0]
            return SeekerTurn(message=opening, emotion=heard.emotion, change=0.0, reason="opens")
        weighed = await self._weigh(heard)
        if isinstance(weighed, Lost):
            return weighed
        emotion = round(
            self.rules.after(heard.emotion, self._drift(heard, weighed.level - heard.emotion)), 1
        )
        ended = self.rules.ended(emotion)
        return SeekerTurn(
            message=self._answer(heard, weighed, ended),
            emotion=emotion,
            change=round(emotion - heard.emotion, 1),
            reason=weighed.reason,
            ended=ended,
        )

    async def _weigh(self, heard: Heard) -> Weighed | Lost:
        text = heard.history[-1].content
        if not stems(text):
            return SILENCE
        reply = Reply(history=heard.history[:-1], text=text, sentences=tuple(split_sentences(text)))
        rating = await self._rating.submit(reply)
        if isinstance(rating, Failure):
            return Lost(Who.GRADER, "rating", rating.kind, rating.message)
        return weigh(heard, rating.parts["relevance"])

    def _drift(self, heard: Heard, way: float) -> float:
        up, down = _PACES.get(heard.person.temper, _PACES["passive"])
        spread = random.Random(f"{heard.person.id}:{heard.seed}").uniform(-1, 1)
        up *= self.preset.gain * (1 + _SPREAD * spread)
        return min(1.0, up if way > 0 else down * self.preset.loss) * way

    def _answer(self, heard: Heard, weighed: Weighed, ended: Ended | None) -> str:
        """A reaction, and one more bit of the story to who was close or has asked."""
        bank = Bank(heard, self._lines)
        if ended:
            return bank.line("satisfied" if ended is Ended.SATISFIED else "despaired")
        asked = "?" in heard.history[-1].content
        kind = _kind(weighed, asked)
        tells = kind in ("close", "question") or (kind == "half" and heard.turn % 2 == 1)
        said = [bank.line(kind, "half", "thin", "close", "question", "again")]
        reserve = self.preset.reserve
        if tells and (not reserve or asked or heard.emotion >= self.rules.start + reserve):
            said += bank.unused(heard.person.follow_ups)[:1]
        return " ".join(said)


def _kind(weighed: Weighed, asked: bool) -> str:
    if weighed == SILENCE:
        return "blank"
    if weighed.slighted:
        return "slighted"
    if weighed.fresh < 0.5:
        return "again"
    if weighed.level >= _CLOSE:
        return "close"
    if asked:
        return "question"
    return "half" if weighed.level >= _HALF else "thin"


@functools.cache
def _text() -> str:
    return (resources.files("mint.dialogue") / "drift_lines.json").read_text(encoding="utf-8")


def load_lines() -> dict[str, list[str]]:
    """Kind -> lines, from the shipped file."""
    lines: dict[str, list[str]] = json.loads(_text())
    return lines
