"""Fixed histories: the model answers every supporter turn of given conversations.

The protocol of the MINT paper: the history is always the conversation's own, never the model's
earlier replies, and stickiness compares the reply with the conversation's previous supporter turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from mint.data.rows import PromptRow, row_messages
from mint.evaluation.results import Outcome, unanswered
from mint.evaluation.runner import Runner, answered
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest

NAME = "lend_an_ear"


async def evaluate(
    runner: Runner, rows: Sequence[PromptRow], samples: int, condition: str = NAME
) -> Outcome:
    """`samples` graded replies to each row."""
    asked = keyed(rows, samples, condition)
    requests = [ReplyRequest(key, row_messages(row)) for key, row in asked.items()]
    task = runner.progress.add_task(f"{condition}: replies", total=len(requests))
    replies = await runner.answer(requests, task)
    ready = answered(replies, asked)
    task = runner.progress.add_task(f"{condition}: grades", total=len(ready))
    return Outcome(
        condition=condition,
        replies=await runner.grade(ready, task),
        unanswered=unanswered(replies),
    )


def keyed(rows: Sequence[PromptRow], samples: int, condition: str) -> dict[ReplyKey, PromptRow]:
    """The keys of `samples` replies to each row."""
    return {
        ReplyKey(condition, row.conversation_id, row.turn, sample): row
        for row in rows
        for sample in range(samples)
    }
