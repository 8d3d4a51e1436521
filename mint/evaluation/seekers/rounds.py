"""Conversations that go on side by side and ask the model together, one batch a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from mint.config.dialogue import DialogueRules
from mint.dialogue.protocol import Person, Seeker
from mint.dialogue.record import TalkRecord
from mint.dialogue.talk import Policy, converse

PATIENT_S = 86_400.0
"""Servers have limits of their own, and a reply may wait for all others of its round."""
AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")


class Conversation(NamedTuple):
    """What `mint.dialogue.talk.converse` needs of one conversation."""

    policy: Policy
    seeker: Seeker
    person: Person
    seed: int


def patient_rules(turns: int, **rules: Any) -> DialogueRules:
    """Rules without limits of time of their own."""
    return DialogueRules(
        max_turns=turns,
        seeker_timeout_s=PATIENT_S,
        reply_timeout_s=PATIENT_S,
        dialogue_timeout_s=3 * turns * PATIENT_S,
        **rules,
    )


class Rounds(Generic[AskedT, AnswerT]):
    """Calls `answer` once all conversations that are still going on have asked."""

    def __init__(
        self, answer: Callable[[Sequence[AskedT]], Awaitable[Sequence[AnswerT]]], talks: int
    ) -> None:
        """`answer` gives as many answers, in order; `talks`: how many conversations there are."""
        self._answer, self._talks = answer, talks
        self._waiting: list[tuple[AskedT, asyncio.Future[AnswerT]]] = []
        self._running: asyncio.Task[None] | None = None
        self.error: Exception | None = None
        """What `answer` has raised; every conversation of that round got it as well."""

    async def ask(self, asked: AskedT) -> AnswerT:
        """The answer, with those of all other conversations."""
        future: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        self._send_if_complete()
        return await future

    async def hold(
        self,
        conversations: Sequence[Conversation],
        rules: DialogueRules,
        system_prompt: str | None,
    ) -> list[TalkRecord]:
        """All conversations, in order. Raises what `answer` has raised."""

        async def talk(one: Conversation) -> TalkRecord:
            try:
                return await converse(*one, rules, system_prompt)
            finally:
                self.leave()

        records = await asyncio.gather(*map(talk, conversations))
        if self.error is not None:
            raise self.error
        return records

    def leave(self) -> None:
        """One conversation has ended and will ask no more."""
        self._talks -= 1
        self._send_if_complete()

    def _send_if_complete(self) -> None:
        if self._waiting and len(self._waiting) == self._talks:
            batch, self._waiting = self._waiting, []
            self._running = asyncio.get_running_loop().create_task(self._run(batch))

    async def _run(self, batch: Sequence[tuple[AskedT, asyncio.Future[AnswerT]]]) -> None:
        try:
            answers = await self._answer([asked for asked, _ in batch])
        except Exception as error:
            self.error = error
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
