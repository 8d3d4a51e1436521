"""Whole conversations: the model talks with a simulated seeker and is compared with itself.

Every reply's previous turn is the model's own, so stickiness, lift and KL measure how much the
model repeats itself in conversations that it shapes. No emotion ends them early: all have the same
number of turns.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from mint.data.banks import Scenario
from mint.data.cases import Case, TurnTags
from mint.data.dataset import PromptRow
from mint.data.memory import NOTHING, is_due, renewed, summary_request
from mint.data.prompts import PromptConfig
from mint.data.rows import prompt_row, row_messages
from mint.dialogue.persons import scenario_person
from mint.dialogue.protocol import Lost, Seeker, Who
from mint.dialogue.record import TalkRecord
from mint.dialogue.talk import Said
from mint.evaluation.generation import Generation
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.results import Outcome, Unusable
from mint.evaluation.runner import Runner, ToGrade
from mint.evaluation.seekers.recorded import RecordedSeeker
from mint.evaluation.seekers.rounds import Conversation, Rounds, patient_rules
from mint.evaluation.silence import OF_NOTES
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest
from rewards.types import Failure, Message, Status

NAME = "free_running"


NOTES = f"{NAME}{OF_NOTES}"
"""Condition of the summaries in the journal."""


class _Turn(NamedTuple):
    """A turn whose reply is asked for."""

    key: ReplyKey
    row: PromptRow


Hall = Rounds[_Turn | ReplyRequest, "tuple[Generation, EvaluatedReply] | Generation | Failure"]
"""Asks for a turn's reply and its grade, or for a summary (a request)."""


class _Speaker:
    """`mint.dialogue.talk.Policy`: the evaluated model in one conversation.

    Its prompt is made afresh each turn, because it may name the tactics of earlier replies.
    """

    def __init__(self, hall: Hall, conversation_id: str, prompts: PromptConfig) -> None:
        self._hall, self._id, self._prompts = hall, conversation_id, prompts
        self._history: list[Message] = []
        self._tags: list[TurnTags] = []
        self._summary = NOTHING
        self.replies: list[EvaluatedReply] = []

    async def start(self, messages: Sequence[dict[str, str]]) -> bool:
        """See `Policy`."""
        return await self.hear(messages[-1]["content"])

    async def hear(self, message: str) -> bool:
        """See `Policy`."""
        self._history.append(Message("seeker", message))
        return True

    async def reply(self, max_tokens: int) -> Said | Lost:
        """See `Policy`. A reply that could not be graded ends the conversation: without its tags
        neither the prompt nor the comparison of the next turn would be right."""
        turn = len(self._tags)
        await self._remember(turn)
        case = Case(
            conversation_id=self._id,
            turn=turn,
            history=tuple(self._history),
            tags=tuple(self._tags),
            scenario=self._id.rpartition("-")[0],
            summary=self._summary if self._prompts.memory else None,
        )
        row = prompt_row(case, self._prompts)
        answer = await self._hall.ask(_Turn(_key(self._id, turn), row))
        if isinstance(answer, Failure):
            return Lost(Who.POLICY, "reply", answer.kind, answer.message)
        assert not isinstance(answer, Generation)  # of a summary
        generation, graded = answer
        self.replies.append(graded)
        if graded.status == Status.FAILED:
            return Lost(Who.GRADER, "grading", "failed", graded.reason)
        self._history.append(Message("supporter", graded.reply))
        self._tags.append(graded.tactics)
        return Said(generation.raw, generation.num_tokens, not generation.truncated)

    async def _remember(self, turn: int) -> None:
        """Write down what this turn's prompt no longer shows. Where that fails, the conversation
        goes on with what was written before."""
        if not is_due(self._prompts, self._history, self._summary):
            return
        messages = summary_request(self._prompts, self._history, self._summary)
        answer = await self._hall.ask(ReplyRequest(_key(self._id, turn, NOTES), tuple(messages)))
        assert isinstance(answer, Generation | Failure)
        said = answer.raw if isinstance(answer, Generation) else answer
        self._summary = renewed(self._prompts, self._history, self._summary, said)


async def evaluate(
    runner: Runner,
    seeker: Seeker,
    scenarios: Sequence[Scenario],
    turns: int,
    prompts: PromptConfig,
    seed: int,
) -> Outcome:
    """One dialogue of `turns` supporter turns for each of `scenarios` (repeats allowed)."""
    names = [f"{scenario.id}-{number:03d}" for number, scenario in enumerate(scenarios)]
    hall = _open_hall(runner, turns, len(names), prompts)
    speakers = [_Speaker(hall, name, prompts) for name in names]
    conversations = []
    for number, (name, scenario) in enumerate(zip(names, scenarios, strict=True)):
        own = 1009 * seed + number
        recorded = RecordedSeeker(seeker, runner.journal, partial(_key, name))
        person = scenario_person(scenario, seed=own)
        conversations.append(Conversation(speakers[number], recorded, person, own))
    talks = await hall.hold(conversations, patient_rules(turns), None)
    return _outcome(names, speakers, talks)


def choose_scenarios(scenarios: Sequence[Scenario], number: int, seed: int) -> list[Scenario]:
    """`number` scenarios; all are used once before any is used again."""
    order: list[Scenario] = []
    rng = random.Random(seed)
    while len(order) < number:
        order += rng.sample(list(scenarios), len(scenarios))
    return order[:number]


def _open_hall(runner: Runner, turns: int, talks: int, prompts: PromptConfig) -> Hall:
    shown = prompts.max_history_turns or turns
    notes = max(0, turns - shown) if prompts.memory else 0
    task = runner.progress.add_task(f"{NAME}: replies", total=(turns + notes) * talks)
    grades = runner.progress.add_task(f"{NAME}: grades", total=turns * talks)

    async def answer(
        asked: Sequence[_Turn | ReplyRequest],
    ) -> list[tuple[Generation, EvaluatedReply] | Generation | Failure]:
        notes = [one for one in asked if isinstance(one, ReplyRequest)]
        turns = [one for one in asked if isinstance(one, _Turn)]
        requests = [ReplyRequest(turn.key, row_messages(turn.row)) for turn in turns]
        answers = await runner.answer(requests, task)
        answers |= await runner.ask(notes, task)  # without a summary the conversation goes on
        ready = []
        for turn in turns:
            made = answers[turn.key]
            if isinstance(made, Generation):
                ready.append(ToGrade(turn.key, turn.row, made))
        graded = iter(await runner.grade(ready, grades))
        found: list[tuple[Generation, EvaluatedReply] | Generation | Failure] = []
        for one in asked:
            made = answers[one.key]
            is_reply = isinstance(one, _Turn) and isinstance(made, Generation)
            found.append((made, next(graded)) if is_reply else made)  # type: ignore[arg-type]
        return found

    return Rounds(answer, talks)


def _key(conversation_id: str, turn: int, condition: str = NAME) -> ReplyKey:
    return ReplyKey(condition, conversation_id, turn, 0)


def _outcome(
    names: Sequence[str], speakers: Sequence[_Speaker], talks: Sequence[TalkRecord]
) -> Outcome:
    cut, unanswered = [], []
    for name, speaker, talk in zip(names, speakers, talks, strict=True):
        lost = talk.lost
        if lost is None:
            continue
        by_model = lost.who in (Who.POLICY, Who.GRADER) and lost.stage in ("reply", "grading")
        told = f"{lost.kind}: {lost.detail}" if by_model else f"seeker: {lost.kind}: {lost.detail}"
        cut.append(lost.detail if lost.stage == "grading" else told)
        # A reply that could not be graded is among the replies already.
        if lost.stage != "grading":
            unanswered.append(Unusable(_key(name, len(speaker.replies)), told, ""))
    replies = [reply for speaker in speakers for reply in speaker.replies]
    return Outcome(
        condition=NAME,
        replies=replies,
        unanswered=unanswered,
        facts={
            "num_dialogues": len(talks),
            "num_cut_short": len(cut),
            "cut_short": cut,
            "num_summaries_failed": sum(bool(reply.summary_reason) for reply in replies),
            "emotion_at_the_end": round(statistics.fmean(talk.emotion for talk in talks), 2),
        },
    )
