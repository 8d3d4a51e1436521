"""One or two models talk with a seeker at the same time, each in a conversation of its own.

Both are held by `mint.dialogue.talk.converse`, so that a person at a keyboard, a rule seeker and a
served one are met as in training. A message of yours goes to both; a simulated seeker answers each
model for itself, from the same opening and with the same seed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mint.chatting.feed import Feed
from mint.chatting.side import Side
from mint.dialogue.protocol import EmotionRules, Heard, Lost, Person, Seeker, SeekerTurn
from mint.dialogue.talk import converse
from mint.evaluation.rating.sheets import CHOICES, Vote
from mint.evaluation.seekers.rounds import patient_rules
from mint.safety.help import in_danger
from rewards.errors import DataError
from rewards.types import Message

_ONLY_A_CHANGE = re.compile(r"\s*[+-]\d{1,3}\s*")
MAX_MESSAGE = 8000
"""Characters of a message at most."""
LETTERS = ("A", "B")
MakeSeeker = Callable[[Callable[[Heard], Awaitable[str]]], Seeker]
"""Makes a seeker; one that is a person waits for the lines of the function it is given."""


class ToldSeeker:
    """`Seeker` that tells a feed what it says, and who helps where somebody may be in danger."""

    def __init__(self, seeker: Seeker, side: int, feed: Feed) -> None:
        self._seeker, self._side, self._feed = seeker, side, feed
        self.turns: list[SeekerTurn] = []

    @property
    def identity(self) -> dict[str, Any]:
        """See `Seeker`."""
        return self._seeker.identity

    @property
    def rules(self) -> EmotionRules:
        """See `Seeker`."""
        return self._seeker.rules

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        """See `Seeker`."""
        made = await self._seeker.turn(heard)
        if isinstance(made, Lost):
            return made
        self.turns.append(made)
        if made.message and in_danger(made.message):
            self._feed.add("danger", side=self._side, turn=heard.turn)
        self._feed.add(
            "seeker",
            side=self._side,
            turn=heard.turn,
            text=made.message or "",
            emotion=made.emotion,
            change=made.change,
            reason=made.reason,
            ended=None if made.ended is None else made.ended.value,
        )
        return made


class Conversation:
    """One conversation with one or two sides. Use within one event loop."""

    def __init__(
        self,
        name: str,
        sides: Sequence[Side],
        make_seeker: MakeSeeker,
        person: Person,
        *,
        you: bool,
        blind: bool,
        turns: int,
        seed: int,
    ) -> None:
        """`you`: the seeker is a person; `turns`: replies of each side at most."""
        self.name, self.sides, self.person, self.you = name, tuple(sides), person, you
        self.hidden = blind and len(sides) == 2
        self.feed: Feed = sides[0].feed
        self.votes: dict[int, Vote] = {}
        self._turns, self._seed = turns, seed
        self._inbox: list[asyncio.Queue[str]] = [asyncio.Queue() for _ in sides]
        self._waiting: set[int] = set()
        self._live = set(range(len(sides)))
        self._tasks: list[asyncio.Task[None]] = []
        self.seekers = [
            ToldSeeker(make_seeker(self._asker(n)), n, self.feed) for n in range(len(sides))
        ]

    @property
    def names(self) -> tuple[str, ...]:
        """What the sides are called now."""
        if self.hidden:
            return LETTERS
        return tuple(side.subject.name for side in self.sides)

    def begin(self) -> None:
        """Start talking."""
        self.feed.add("opened", names=self.names, you=self.you, hidden=self.hidden)
        for side in self.sides:
            side.key = f"{self.person.id}/{self._seed}"
            if not self.you:
                side.permit = self._asker(side.number)
        self._tasks = [asyncio.ensure_future(self._hold(side)) for side in self.sides]

    async def _hold(self, side: Side) -> None:
        record = await converse(
            side,
            self.seekers[side.number],
            self.person,
            self._seed,
            patient_rules(self._turns),
            None,
        )
        self._live.discard(side.number)
        lost = None if record.lost is None else f"{record.lost.kind}: {record.lost.detail}"
        ended = None if record.ended is None else record.ended.value
        self.feed.add("over", side=side.number, ended=ended, lost=lost)
        if self._live and self._waiting == self._live:
            self.feed.add("waiting", side=min(self._live), all=True)

    def _asker(self, number: int) -> Callable[..., Awaitable[str]]:
        async def ask(*_: Heard) -> str:
            self._waiting.add(number)
            self.feed.add("waiting", side=number, all=self._waiting == self._live)
            try:
                return await self._inbox[number].get()
            finally:
                self._waiting.discard(number)

        return ask

    def say(self, text: str) -> None:
        """Your next message to all sides that still talk. Raises DataError."""
        if not self.you:
            raise DataError("a simulated seeker talks here; ask for the next turn")
        if not text.strip():
            raise DataError("the message is empty")
        if any(side.history for side in self.sides) and _ONLY_A_CHANGE.fullmatch(text):
            raise DataError("say something after the change of feeling, or /bye")
        if len(text) > MAX_MESSAGE:
            raise DataError(f"a message may have {MAX_MESSAGE} characters, got {len(text)}")
        self._send(text)

    def next(self) -> None:
        """Let the models answer the simulated seeker. Raises DataError."""
        if self.you:
            raise DataError("you are the seeker here; write a message")
        self._send("")

    def _send(self, text: str) -> None:
        if not self._live:
            raise DataError("the conversation is over")
        if self._waiting != self._live:
            raise DataError("not all models have answered yet")
        for number in self._live:
            self._inbox[number].put_nowait(text)
            self._waiting.discard(number)

    def vote(self, turn: int, choice: str, comment: str = "") -> Vote:
        """Whose reply of a turn is better: left, right or tie; again replaces it. DataError."""
        if len(self.sides) != 2:
            raise DataError("a vote needs two models")
        if choice not in CHOICES:
            raise DataError(f"choice must be one of {', '.join(CHOICES)}, got {choice!r:.40}")
        left, right = self.sides
        if not 0 <= turn < min(len(left.replies), len(right.replies)):
            raise DataError(f"turn {turn} has no two replies")
        vote = Vote(
            conversation_id=self.name,
            turn=turn,
            context=self._context(turn),
            left=left.replies[turn].text,
            right=right.replies[turn].text,
            systems=(left.subject.name, right.subject.name),
            choice=choice,
            comment=comment if self.hidden else f"{comment} (named)".strip(),
        )
        self.votes[turn] = vote
        self.feed.add("vote", turn=turn, choice=choice)
        return vote

    def reveal(self) -> None:
        """Say which model is which."""
        if self.hidden:
            self.hidden = False
            self.feed.add("names", names=self.names)

    async def stop(self) -> None:
        """End it where it stands."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for number in sorted(self._live):
            self.feed.add("over", side=number, ended="stopped", lost=None)
        self._live.clear()

    def _context(self, turn: int) -> str:
        told = [_transcript(side.history[: 2 * turn + 1]) for side in self.sides]
        if told[0] == told[1]:
            return told[0]
        return f"Left:\n{told[0]}\n\nRight:\n{told[1]}"


def _transcript(history: Sequence[Message]) -> str:
    return "\n".join(f"{m.role.capitalize()}: {m.content}" for m in history)
