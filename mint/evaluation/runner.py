"""Asking and grading through the journal, so that both are resumable and never done twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.progress import Progress, TaskID

from mint.data.dataset import PromptRow
from mint.evaluation.generation import Generation
from mint.evaluation.journal import Journal
from mint.evaluation.records import EvaluatedReply, evaluated_reply, scoring_request
from mint.evaluation.second import with_second
from mint.evaluation.sources.requests import (
    ReplyKey,
    ReplyRequest,
    ReplySource,
    Sampling,
    SubjectError,
)
from rewards.formula import RewardWeights
from rewards.protocols import EmpathyJudge
from rewards.scorer import ReplyScorer
from rewards.types import Failure, Signals, Status

GRADING_BATCH = 64


class ToGrade(NamedTuple):
    """A reply that has been generated, and the turn it answers."""

    key: ReplyKey
    row: PromptRow
    generation: Generation


@dataclass(kw_only=True)
class Asker:
    """The means to ask a model."""

    source: ReplySource
    sampling: Sampling
    journal: Journal
    progress: Progress

    async def answer(
        self, requests: Sequence[ReplyRequest], task: TaskID
    ) -> dict[ReplyKey, Generation | Failure]:
        """As `ask`; raises SubjectError when nothing was answered at all."""
        replies = await self.ask(requests, task)
        _check_alive(replies)
        return replies

    async def ask(
        self, requests: Sequence[ReplyRequest], task: TaskID
    ) -> dict[ReplyKey, Generation | Failure]:
        """Replies by key, in the order of the requests. Failures are not recorded, so a later run
        asks for them again."""
        done: dict[ReplyKey, Generation | Failure] = {}
        for request in requests:
            recorded = self.journal.get("reply", request.key)
            if recorded is not None:
                done[request.key] = Generation(**recorded)
        self.progress.advance(task, len(done))
        missing = [request for request in requests if request.key not in done]
        async for position, reply in self.source.stream(missing, self.sampling):
            key = missing[position].key
            done[key] = reply
            if isinstance(reply, Generation):
                self.journal.add("reply", {key: reply._asdict()})
            self.progress.advance(task)
        # In the order of the requests, whatever came first.
        return {request.key: done[request.key] for request in requests}


@dataclass(kw_only=True)
class Runner(Asker):
    """The means of one protocol's evaluation with grades."""

    scorer: ReplyScorer
    weights: RewardWeights
    second: EmpathyJudge | None = None
    """Rates beside the scorer's judge."""

    async def grade(self, replies: Sequence[ToGrade], task: TaskID) -> list[EvaluatedReply]:
        """The replies with their grades, in order; one a grader failed on is not recorded."""
        graded: dict[ReplyKey, EvaluatedReply] = {}
        for item in replies:
            recorded = self.journal.get("grade", item.key)
            if recorded is not None:
                graded[item.key] = EvaluatedReply.from_row(recorded)
        self.progress.advance(task, len(graded))
        missing = [item for item in replies if item.key not in graded]
        for start in range(0, len(missing), GRADING_BATCH):
            batch = missing[start : start + GRADING_BATCH]
            scored = await score(self.scorer, batch, self.weights, self.second)
            fresh = {item.key: reply for item, (reply, _) in zip(batch, scored, strict=True)}
            final = {key: r.as_row() for key, r in fresh.items() if r.status != Status.FAILED}
            self.journal.add("grade", final)
            graded |= fresh
            self.progress.advance(task, len(batch))
        return [graded[item.key] for item in replies]


async def score(
    scorer: ReplyScorer,
    replies: Sequence[ToGrade],
    weights: RewardWeights,
    second: EmpathyJudge | None = None,
) -> list[tuple[EvaluatedReply, Signals]]:
    """The replies with their grades, and the signals they are made of."""
    signals = await scorer.score([scoring_request(item.row, item.generation) for item in replies])
    graded = [
        evaluated_reply(item.row, item.key.sample, item.generation, signal, weights)
        for item, signal in zip(replies, signals, strict=True)
    ]
    graded = await with_second(second, [item.row.history for item in replies], graded)
    return list(zip(graded, signals, strict=True))


def answered(
    replies: Mapping[ReplyKey, Generation | Failure], rows: Mapping[ReplyKey, PromptRow]
) -> list[ToGrade]:
    """What there is to grade, in the order of `rows`."""
    found = []
    for key, row in rows.items():
        reply = replies[key]
        if isinstance(reply, Generation):
            found.append(ToGrade(key, row, reply))
    return found


def _check_alive(replies: Mapping[ReplyKey, Generation | Failure]) -> None:
    failures = [reply for reply in replies.values() if isinstance(reply, Failure)]
    if failures and len(failures) == len(replies):
        first = failures[0]
        raise SubjectError(
            f"none of {len(replies)} prompts was answered; the first: {first.kind}: {first.message}"
        )
