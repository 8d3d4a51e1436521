"""One conversation between a model and a seeker, whoever they are."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

from mint.config.dialogue import DialogueRules
from mint.data.control_tokens import neutralised
from mint.dialogue.protocol import Ended, Heard, Lost, Person, Seeker, SeekerTurn, Who
from mint.dialogue.record import TalkRecord, TurnRecord, identity_key
from rewards.text import visible_reply
from rewards.types import Message

ResultT = TypeVar("ResultT")


def sample_seed(seed: int, sample: int) -> int:
    """The seed of a further conversation with the same people, the same for all models."""
    return seed + 10_007 * sample


class Said(NamedTuple):
    """A reply of the model."""

    text: str
    """Raw, without special chat tokens; with the <think> that the template has opened."""
    tokens: int
    complete: bool
    """Whether the model ended it; False: cut at the limit."""


class Policy(Protocol):
    """A model in one conversation; unlike a seeker it remembers what it was told."""

    async def start(self, messages: Sequence[dict[str, str]]) -> bool:
        """Take the prompt as chat messages: system, if any, and the opening. False: too long."""
        ...

    async def reply(self, max_tokens: int) -> Said | Lost:
        """The next reply, of so many tokens at most or fewer where less room is left."""
        ...

    async def hear(self, message: str) -> bool:
        """Take the seeker's message. False: with it no useful reply would fit; nothing changed."""
        ...


async def converse(
    policy: Policy,
    seeker: Seeker,
    person: Person,
    seed: int,
    rules: DialogueRules,
    system_prompt: str | None,
) -> TalkRecord:
    """The whole conversation. Errors and timeouts of either side are `lost`, never raised.

    Control tokens in what the seeker says stay letters for the policy (`mint.data.control_tokens`).
    The seeker opens. It hears every reply before anything ends the conversation, so each counts,
    and the last thing said to or by the model is always its own reply.
    """
    talk = _Talk(policy, seeker, person, seed, rules)
    try:
        async with asyncio.timeout(rules.dialogue_timeout_s):
            end = await talk.run(system_prompt)
    except TimeoutError:
        told = f"the conversation took more than {rules.dialogue_timeout_s:g} s"
        end = Lost(Who.BUDGET, talk.stage, "timeout", told)
    return TalkRecord(
        person=person.id,
        intention=person.intention,
        seed=seed,
        seeker=identity_key(seeker.identity),
        start=seeker.rules.start,
        opening=talk.opening,
        opening_faults=talk.opening_faults,
        turns=tuple(talk.turns),
        ended=None if isinstance(end, Lost) else end,
        lost=end if isinstance(end, Lost) else None,
    )


class _Talk:
    """A conversation under way."""

    def __init__(
        self, policy: Policy, seeker: Seeker, person: Person, seed: int, rules: DialogueRules
    ) -> None:
        self._policy, self._seeker = policy, seeker
        self._person, self._seed, self._rules = person, seed, rules
        self._history: list[Message] = []
        self._emotion = seeker.rules.start
        self.stage = "open"
        self.opening: str | None = None
        self.opening_faults: tuple[str, ...] = ()
        self.turns: list[TurnRecord] = []

    async def run(self, system_prompt: str | None) -> Ended | Lost:
        """The conversation from the opening to its end."""
        opened = await self._ask_seeker("open")
        if isinstance(opened, Lost):
            return opened
        message = _spoken(opened, "open")
        if isinstance(message, Lost):
            return message
        self.opening, self.opening_faults = message, opened.faults
        self._history.append(Message("seeker", message))
        system = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
        prompt = [*system, {"role": "user", "content": neutralised(message)}]
        fits = await self._ask_policy("start", self._policy.start(prompt))
        if fits is False:
            return Lost(Who.BUDGET, "start", "too_long", "the first prompt does not fit")
        end: Ended | Lost | None = fits if isinstance(fits, Lost) else None
        while end is None:
            end = await self._turn()
        return end

    async def _turn(self) -> Ended | Lost | None:
        """One reply, and the seeker's answer to it; None: the conversation goes on."""
        said = await self._ask_policy("reply", self._policy.reply(self._rules.turn_tokens))
        if isinstance(said, Lost):
            return said
        visible = visible_reply(said.text).text
        self._history.append(Message("supporter", visible))
        reply = TurnRecord(
            raw=said.text,
            visible=visible,
            well_formed=self._rules.well_formed(said.text),
            tokens=said.tokens,
            complete=said.complete,
        )
        self.turns.append(reply)
        heard = await self._ask_seeker("hear")
        if isinstance(heard, Lost):
            return heard
        self._emotion = heard.emotion
        self.turns[-1] = replace(
            reply,
            emotion=heard.emotion,
            change=heard.change,
            reason=heard.reason,
            message=heard.message,
            faults=heard.faults,
        )
        ended = heard.ended or self._seeker.rules.ended(heard.emotion)
        if ended is None and len(self.turns) == self._rules.max_turns:
            ended = Ended.TURNS
        return ended or await self._go_on(heard)

    async def _go_on(self, heard: SeekerTurn) -> Ended | Lost | None:
        message = _spoken(heard, "utterance")
        if isinstance(message, Lost):
            return message
        fits = await self._ask_policy("hear", self._policy.hear(neutralised(message)))
        if isinstance(fits, Lost):
            return fits
        self._history.append(Message("seeker", message))
        return None if fits else Ended.TOKENS

    async def _ask_seeker(self, stage: str) -> SeekerTurn | Lost:
        history, turn = tuple(self._history), len(self.turns)
        heard = Heard(self._person, self._seed, history, self._emotion, turn)
        limit = self._rules.seeker_timeout_s
        made = await self._within(Who.SEEKER, stage, limit, self._seeker.turn(heard))
        if isinstance(made, Lost) or (math.isfinite(made.emotion) and 0 <= made.emotion <= 100):
            return made
        return Lost(Who.SEEKER, stage, "out_of_range", f"an emotion of {made.emotion}")

    async def _ask_policy(self, stage: str, answer: Awaitable[ResultT]) -> ResultT | Lost:
        return await self._within(Who.POLICY, stage, self._rules.reply_timeout_s, answer)

    async def _within(
        self, who: Who, stage: str, limit_s: float, answer: Awaitable[ResultT]
    ) -> ResultT | Lost:
        self.stage = stage
        limit = asyncio.timeout(limit_s)
        try:
            async with limit:
                return await answer
        except Exception as error:
            if limit.expired():
                return Lost(who, stage, "timeout", f"no answer within {limit_s:g} s")
            return Lost(who, stage, "exception", f"{type(error).__name__}: {error}"[:300])


def _spoken(turn: SeekerTurn, stage: str) -> str | Lost:
    message: Any = turn.message
    if isinstance(message, str) and message.strip():
        return message
    return Lost(Who.SEEKER, stage, "empty", "the seeker has said nothing")
