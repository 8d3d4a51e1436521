"""The rule seeker: offline and deterministic, moved by tactics, ratings and repetition."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mint.dialogue.presets import Preset
from mint.dialogue.protocol import EmotionRules, Heard, Lost, SeekerTurn, Who
from mint.dialogue.reaction import REVISION, SILENCE, Taken, take
from mint.dialogue.script import Script, lines_sha256, load_lines
from mint.rundir.manifest import identity_row
from rewards.batching import MicroBatcher
from rewards.protocols import EmpathyJudge, TacticTagger
from rewards.text import split_sentences
from rewards.types import Failure, Rating, Reply, Tagging

_BATCH = 64
_REMEMBERED = 20_000
"""Tactics of replies kept in memory: an answer of the tagger, not state of a conversation."""
_TEMPERS = {"passive": (1.0, 1.0), "negative": (1.0, 1.15), "avoidant": (0.93, 1.0)}
"""Temper -> factors of gain and loss."""
_SPREAD = 0.08
"""How far people of one temper differ: by up to this share, decided by the seed."""


class RuleSeeker:
    """A seeker without a model of its own; see `mint.dialogue.reaction`.

    A turn is a function of person, seed, history, emotion and graders.
    """

    def __init__(self, preset: Preset, tagger: TacticTagger, judge: EmpathyJudge) -> None:
        """Raises ConfigError when the shipped lines are not complete."""
        self.preset = preset
        self._tagger, self._judge = tagger, judge
        self._lines = load_lines()
        self._tags: OrderedDict[Reply, Tagging] = OrderedDict()
        self._tagging: MicroBatcher[Reply, Tagging | Failure] = MicroBatcher(self._tag, _BATCH)
        self._rating: MicroBatcher[Reply, object] = MicroBatcher(self._rate, _BATCH)

    @property
    def identity(self) -> dict[str, Any]:
        """Kind, preset, revision of the reaction, lines and graders."""
        return {
            "kind": "rule",
            "preset": asdict(self.preset),
            "reaction": REVISION,
            "lines": lines_sha256(),
            "tagger": identity_row(self._tagger.identity),
            "judge": identity_row(self._judge.identity),
        }

    @property
    def rules(self) -> EmotionRules:
        """See `Seeker`."""
        return self.preset.rules

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        """See `Seeker`; lost only where a grader fails."""
        script = Script(heard, self._lines, self.preset)
        if not heard.history:
            return SeekerTurn(
                message=script.opening(), emotion=heard.emotion, change=0.0, reason="opens"
            )
        taken = await self._take(heard, script.pressed)
        if isinstance(taken, Lost):
            return taken
        gain, loss = _TEMPERS.get(heard.person.temper, (1.0, 1.0))
        rng = random.Random(f"{heard.person.id}:{heard.seed}")
        gain *= self.preset.gain * (1 + _SPREAD * rng.uniform(-1, 1))
        change = taken.change(gain, loss * self.preset.loss)
        emotion = round(self.rules.after(heard.emotion, change), 1)
        ended = self.rules.ended(emotion)
        message = script.goodbye(ended) if ended else script.answer(taken, emotion)
        return SeekerTurn(
            message=message,
            emotion=emotion,
            change=round(emotion - heard.emotion, 1),
            reason=taken.reason,
            ended=ended,
        )

    async def _take(self, heard: Heard, pressed: bool) -> Taken | Lost:
        spoken = [n for n, message in enumerate(heard.history) if message.role == "supporter"]
        replies = [_reply(heard, n) for n in spoken if heard.history[n].content.strip()]
        text = heard.history[-1].content
        if not text.strip():
            return SILENCE
        newest = replies[-1]
        tags, rating = await asyncio.gather(self._all_tags(replies), self._rating.submit(newest))
        if isinstance(tags, Failure):
            return Lost(Who.GRADER, "tagging", tags.kind, tags.message)
        if isinstance(rating, Failure):
            return Lost(Who.GRADER, "rating", rating.kind, rating.message)
        if not isinstance(rating, Rating):
            return Lost(Who.GRADER, "rating", "no_dimensions", "a rule seeker needs a Rating")
        tactics = [frozenset(name for s in tag.sentences for name in s.tactics) for tag in tags]
        return take(
            heard.person.intention,
            text,
            newest.seeker_turn,
            [reply.text for reply in replies[:-1]],
            tactics[:-1],
            tags[-1],
            rating,
            pressed,
        )

    async def _all_tags(self, replies: Sequence[Reply]) -> list[Tagging] | Failure:
        """Tactics of each reply, or the first failure."""
        tags = []
        for found in await asyncio.gather(*map(self._tags_of, replies)):
            if isinstance(found, Failure):
                return found
            tags.append(found)
        return tags

    async def _tags_of(self, reply: Reply) -> Tagging | Failure:
        known = self._tags.get(reply)
        if known is not None:
            return known
        found = await self._tagging.submit(reply)
        if isinstance(found, Tagging):
            self._tags[reply] = found
            if len(self._tags) > _REMEMBERED:
                self._tags.popitem(last=False)
        return found

    async def _tag(self, replies: list[Reply]) -> list[Tagging | Failure]:
        return await self._tagger.tag(replies)

    async def _rate(self, replies: list[Reply]) -> list[object]:
        return list(await self._judge.rate(replies))


def _reply(heard: Heard, position: int) -> Reply:
    text = heard.history[position].content
    return Reply(
        history=heard.history[:position], text=text, sentences=tuple(split_sentences(text))
    )
