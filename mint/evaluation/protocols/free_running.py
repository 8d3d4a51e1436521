"""Whole conversations: the model talks with a simulated seeker and is compared with itself.

Every reply's previous turn is the model's own, so stickiness, lift and KL measure how much the
model repeats itself in conversations that it shapes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mint.data.banks import Scenario
from mint.data.cases import Case, TurnTags
from mint.data.dataset import PromptRow
from mint.data.prompts import PromptConfig
from mint.data.rows import prompt_row, row_messages
from mint.evaluation.generation import Generation
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.results import Outcome, Unusable
from mint.evaluation.runner import Runner, ToGrade
from mint.evaluation.seekers.bank import reactions
from mint.evaluation.seekers.dialogue import Dialogue, Seeker
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest
from rewards.types import Failure, Message, Status

NAME = "free_running"


@dataclass(kw_only=True)
class _Talk:
    """A dialogue under way."""

    conversation_id: str
    scenario: Scenario
    history: list[Message] = field(default_factory=list)
    tags: list[TurnTags] = field(default_factory=list)
    replies: list[EvaluatedReply] = field(default_factory=list)
    cut: Unusable | None = None
    """Why it ended early: a seeker, the model or a grader has failed."""

    def dialogue(self) -> Dialogue:
        used = tuple(frozenset(name for names in turn for name in names) for turn in self.tags)
        return Dialogue(self.conversation_id, self.scenario, tuple(self.history), used)


async def evaluate(
    runner: Runner,
    seeker: Seeker,
    scenarios: Sequence[Scenario],
    turns: int,
    prompts: PromptConfig,
) -> Outcome:
    """One dialogue of `turns` supporter turns for each of `scenarios` (repeats allowed)."""
    talks = [
        _Talk(conversation_id=f"{scenario.id}-{number:03d}", scenario=scenario)
        for number, scenario in enumerate(scenarios)
    ]
    task = runner.progress.add_task(f"{NAME}: replies", total=turns * len(talks))
    grades = runner.progress.add_task(f"{NAME}: grades", total=turns * len(talks))
    for turn in range(turns):
        live = [talk for talk in talks if talk.cut is None]
        await _seeker_speaks(runner, seeker, live, turn)
        live = [talk for talk in live if talk.cut is None]
        rows = {_key(talk, turn): _row(talk, turn, prompts) for talk in live}
        requests = [ReplyRequest(key, row_messages(row)) for key, row in rows.items()]
        if not requests:
            break
        answers = await runner.answer(requests, task)
        ready = []
        for talk, (key, row) in zip(live, rows.items(), strict=True):
            answer = answers[key]
            if isinstance(answer, Generation):
                ready.append((talk, ToGrade(key, row, answer)))
            else:
                talk.cut = Unusable(key, f"{answer.kind}: {answer.message}", "")
        graded = await runner.grade([item for _, item in ready], grades)
        for (talk, item), reply in zip(ready, graded, strict=True):
            _listen(talk, item.key, reply)
    return _outcome(talks)


def choose_scenarios(scenarios: Sequence[Scenario], number: int, seed: int) -> list[Scenario]:
    """`number` scenarios; all are used once before any is used again."""
    order: list[Scenario] = []
    rng = random.Random(seed)
    while len(order) < number:
        order += rng.sample(list(scenarios), len(scenarios))
    return order[:number]


async def _seeker_speaks(runner: Runner, seeker: Seeker, talks: Sequence[_Talk], turn: int) -> None:
    missing = []
    for talk in talks:
        recorded = runner.journal.get("seeker", _key(talk, turn))
        if recorded is None:
            missing.append(talk)
        else:
            talk.history.append(Message("seeker", recorded))
    said = await seeker.say([talk.dialogue() for talk in missing])
    for talk, message in zip(missing, said, strict=True):
        if isinstance(message, Failure):
            reason = f"seeker: {message.kind}: {message.message}"
            talk.cut = Unusable(_key(talk, turn), reason, "")
        else:
            runner.journal.add("seeker", {_key(talk, turn): message})
            talk.history.append(Message("seeker", message))


def _listen(talk: _Talk, key: ReplyKey, reply: EvaluatedReply) -> None:
    """Take the reply into the dialogue. One that could not be graded ends it: without its tags
    neither the prompt nor the comparison of the next turn would be right."""
    talk.replies.append(reply)
    if reply.status == Status.FAILED:
        talk.cut = Unusable(key, reply.reason, reply.reply)
        return
    talk.history.append(Message("supporter", reply.reply))
    talk.tags.append(reply.tactics)


def _key(talk: _Talk, turn: int) -> ReplyKey:
    return ReplyKey(NAME, talk.conversation_id, turn, 0)


def _row(talk: _Talk, turn: int, prompts: PromptConfig) -> PromptRow:
    case = Case(
        conversation_id=talk.conversation_id,
        turn=turn,
        history=tuple(talk.history),
        tags=tuple(talk.tags),
        scenario=talk.scenario.id,
    )
    return prompt_row(case, prompts)


def _outcome(talks: Sequence[_Talk]) -> Outcome:
    replies = [reply for talk in talks for reply in talk.replies]
    cut = [talk.cut for talk in talks if talk.cut is not None]
    taken = Counter(kind for talk in talks for kind in reactions(talk.dialogue()))
    return Outcome(
        condition=NAME,
        replies=replies,
        # A reply that could not be graded is among the replies already.
        unanswered=[lost for lost in cut if not lost.raw],
        facts={
            "num_dialogues": len(talks),
            "num_cut_short": len(cut),
            "cut_short": [lost.reason for lost in cut],
            "reactions": dict(sorted(taken.items())),
        },
    )
