"""Many conversations at the same time, each turn recorded as soon as it is known.

A conversation is a function of person, seed, model and seeker. So an interrupted evaluation holds
it again from its start, with every reply and every turn of the seeker that the journal has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.progress import TaskID

from mint.dialogue.protocol import (
    Lost,
    Person,
    Seeker,
    Who,
)
from mint.dialogue.record import TalkRecord
from mint.dialogue.talk import Said, sample_seed
from mint.evaluation.generation import Generation
from mint.evaluation.runner import Asker
from mint.evaluation.seekers.recorded import RecordedSeeker
from mint.evaluation.seekers.rounds import Conversation, Rounds, patient_rules
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest, SubjectError
from rewards.text import visible_reply
from rewards.types import Failure

Replies = Rounds[ReplyRequest, "Generation | Failure"]


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """One conversation to be held."""

    condition: str
    person: Person
    sample: int
    seed: int
    """The same for all models and seekers that are compared."""

    @property
    def key(self) -> str:
        """Names the conversation among those of its condition."""
        return f"{self.person.id}/{self.sample}"

    def turn_key(self, turn: int) -> ReplyKey:
        """Of the reply with that 0-based number."""
        return ReplyKey(self.condition, self.person.id, turn, self.sample)


class AskedPolicy:
    """`mint.dialogue.talk.Policy` on any source of replies. Earlier thoughts leave the prompt."""

    def __init__(self, replies: Replies, meeting: Meeting) -> None:
        self._replies, self._meeting = replies, meeting
        self._messages: list[dict[str, str]] = []
        self._turn = 0

    async def start(self, messages: Sequence[dict[str, str]]) -> bool:
        """See `Policy`."""
        self._messages = list(messages)
        return True

    async def reply(self, max_tokens: int) -> Said | Lost:
        """See `Policy`; the source's own sampling limits the tokens."""
        key = self._meeting.turn_key(self._turn)
        made = await self._replies.ask(ReplyRequest(key, tuple(self._messages)))
        if isinstance(made, Failure):
            return Lost(Who.POLICY, "reply", made.kind, made.message)
        self._turn += 1
        self._messages.append({"role": "assistant", "content": visible_reply(made.raw).text})
        return Said(made.raw, made.num_tokens, not made.truncated)

    async def hear(self, message: str) -> bool:
        """See `Policy`."""
        self._messages.append({"role": "user", "content": message})
        return True


def meetings(condition: str, persons: Sequence[Person], samples: int, seed: int) -> list[Meeting]:
    """`samples` conversations with each person, those of a sample number with one seed."""
    return [
        Meeting(condition=condition, person=person, sample=sample, seed=sample_seed(seed, sample))
        for person in persons
        for sample in range(samples)
    ]


async def hold(
    asker: Asker,
    seeker: Seeker,
    asked: Sequence[Meeting],
    turns: int,
    system_prompt: str,
    task: TaskID,
) -> dict[str, TalkRecord]:
    """The conversations by key, in order. Raises SubjectError when the model answered nobody."""

    async def answer(requests: Sequence[ReplyRequest]) -> list[Generation | Failure]:
        replies = await asker.ask(requests, task)
        return [replies[request.key] for request in requests]

    rounds: Replies = Rounds(answer, len(asked))
    rules = patient_rules(turns, turn_tokens=max(asker.sampling.max_new_tokens, 16))
    conversations = [
        Conversation(
            AskedPolicy(rounds, one),
            RecordedSeeker(seeker, asker.journal, one.turn_key),
            one.person,
            one.seed,
        )
        for one in asked
    ]
    records = await rounds.hold(conversations, rules, system_prompt)
    lost = [record.lost for record in records if record.lost is not None and not record.turns]
    if len(lost) == len(records) and all(one.who is Who.POLICY for one in lost):
        raise SubjectError(
            f"none of {len(records)} people was answered; the first: {lost[0].kind}: "
            f"{lost[0].detail}"
        )
    return {one.key: record for one, record in zip(asked, records, strict=True)}
