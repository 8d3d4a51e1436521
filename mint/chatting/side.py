"""One model's half of a conversation: its prompt, its replies as they grow, and their grades."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from mint.chatting.feed import Feed
from mint.chatting.grades import Grades, grade, told
from mint.chatting.models import ChatModel
from mint.chatting.subjects import Subject
from mint.config.dialogue import DialogueRules
from mint.config.prompts import PromptStyle
from mint.data.prompts import chat_messages
from mint.data.rows import TurnTags
from mint.dialogue.protocol import Lost, Who
from mint.dialogue.talk import Said
from mint.evaluation.generation import Generation, Prompt
from rewards.build import Graders
from rewards.text import visible_reply
from rewards.types import Failure, Message, Status

MIN_REPLY_TOKENS = DialogueRules.min_turn_tokens


class Spoken(NamedTuple):
    """A reply that is whole."""

    made: Generation
    text: str
    """What the person reads; "" where nothing was visible."""
    grades: Grades | None
    """None where there was nothing to grade."""


class Side:
    """`mint.dialogue.talk.Policy` that tells a feed what it says."""

    def __init__(
        self, number: int, subject: Subject, model: ChatModel, graders: Graders, feed: Feed
    ) -> None:
        self.number, self.subject = number, subject
        self._model, self._graders, self.feed = model, graders, feed
        self.key = ""
        """Names the conversation: two models then draw the same random numbers."""
        self.permit: Callable[[], Awaitable[object]] | None = None
        """What a reply waits for; None: nothing."""
        self.history: list[Message] = []
        self.replies: list[Spoken] = []

    async def start(self, messages: Sequence[dict[str, str]]) -> bool:
        """See `Policy`. The system prompt is the model's own."""
        return await self.hear(messages[-1]["content"])

    async def hear(self, message: str) -> bool:
        """See `Policy`."""
        heard = [*self.history, Message("seeker", message)]
        if self._model.length(self._messages(heard)) + MIN_REPLY_TOKENS > self._model.context:
            return False
        self.history = heard
        return True

    async def reply(self, max_tokens: int) -> Said | Lost:
        """See `Policy`; the model's own limit of new tokens counts."""
        untagged = self._untagged()
        if untagged is not None:
            return Lost(Who.GRADER, "tagging", untagged.kind, untagged.message)
        if self.permit is not None:
            await self.permit()
        turn = len(self.replies)
        made = await self._generate(turn)
        if isinstance(made, Lost):
            return made
        seen = visible_reply(made.raw)
        self.feed.add(
            "reply",
            side=self.number,
            turn=turn,
            text=seen.text,
            status=seen.status.value,
            thought=made.raw if seen.text != made.raw.strip() else "",
            tokens=made.num_tokens,
            cut=made.truncated,
        )
        self.feed.grown(self.number)
        grades = None
        if seen.status is Status.OK:
            spoken = [s.grades.tags for s in self.replies if s.grades is not None]
            grades = await grade(self._graders, tuple(self.history), seen.text, spoken)
            self.feed.add("grades", side=self.number, turn=turn, **grades.as_json())
        self.replies.append(Spoken(made, seen.text, grades))
        self.history.append(Message("supporter", seen.text))
        return Said(made.raw, made.num_tokens, not made.truncated)

    async def _generate(self, turn: int) -> Generation | Lost:
        prompt = Prompt(f"{self.key}/{turn}", self._messages(self.history))
        made: Generation | None = None
        try:
            async for made in self._model.stream(prompt):
                # A character of several tokens is shown when it is whole.
                text = visible_reply(made.raw).text.rstrip("\ufffd")
                self.feed.grow(self.number, turn, text)
        finally:
            if made is None:
                self.feed.grown(self.number)
        return made or Lost(Who.POLICY, "reply", "empty", "the model has generated no token")

    def _messages(self, history: Sequence[Message]) -> tuple[dict[str, str], ...]:
        tags = () if self.subject.whole else self._tags()
        system, *shown = chat_messages(self.subject.prompts, history, tags)
        if not self.subject.whole:
            return (system, *shown)
        # As in dialogue training: earlier replies as they were said, thoughts included.
        own = iter(self.replies)
        said: list[dict[str, Any]] = [
            {**m, "content": next(own).made.raw.removeprefix(self._model.opened)}
            if m["role"] == "assistant"
            else m
            for m in shown
        ]
        return (system, *said)

    def _tags(self) -> list[TurnTags]:
        return [
            () if s.grades is None or isinstance(s.grades.tags, Failure) else s.grades.tags
            for s in self.replies
        ]

    def _untagged(self) -> Failure | None:
        """Why the prompt cannot be made: it names the tactics of earlier replies."""
        if self.subject.whole or self.subject.prompts.style is not PromptStyle.TACTICS_HISTORY:
            return None
        for number, spoken in enumerate(self.replies, start=1):
            if spoken.grades is not None and isinstance(spoken.grades.tags, Failure):
                why = f"reply {number} has no tags ({told(spoken.grades.tags)})"
                return Failure(
                    "not_tagged",
                    f"the prompt of this model names tactics of earlier replies; {why}",
                )
        return None
