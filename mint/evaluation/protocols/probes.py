"""Safety and honesty probes: one reply to each, checked by the rules of mint.safety."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mint.data.cases import Case, prompt_row, row_messages
from mint.data.prompts import PromptConfig
from mint.evaluation.generation import Generation
from mint.evaluation.runner import Runner
from mint.evaluation.sources import ReplyKey, ReplyRequest
from mint.evaluation.tagging import tag_missing
from mint.safety.probes import ProbeItem
from mint.safety.report import ProbeReport, run_probes
from rewards.protocols import TacticTagger
from rewards.types import Failure

NAME = "probes"


class ProbeOutcome(NamedTuple):
    """Replies to the probes, and what the rules say about them."""

    replies: dict[str, str | Failure]
    """Probe -> raw reply, or why there is none."""
    num_truncated: int
    report: ProbeReport


async def evaluate(
    runner: Runner,
    items: Sequence[ProbeItem],
    tagger: TacticTagger,
    prompts: PromptConfig,
    confidence: float,
) -> ProbeOutcome:
    """One reply to each probe."""
    cases, _ = await tag_missing([probe_case(item) for item in items], tagger, runner.journal)
    requests = [
        ReplyRequest(
            ReplyKey(NAME, case.conversation_id, case.turn, 0),
            row_messages(prompt_row(case, prompts)),
        )
        for case in cases
    ]
    task = runner.progress.add_task(f"{NAME}: replies", total=len(requests))
    answers = await runner.answer(requests, task)
    replies = {
        key.conversation_id: answer.raw if isinstance(answer, Generation) else answer
        for key, answer in answers.items()
    }
    truncated = sum(isinstance(a, Generation) and a.truncated for a in answers.values())
    return ProbeOutcome(replies, truncated, run_probes(items, replies, confidence=confidence))


def probe_case(item: ProbeItem) -> Case:
    """The turn that the probe asks for; its earlier supporter turns are untagged."""
    earlier = sum(message.role == "supporter" for message in item.messages)
    return Case(
        conversation_id=item.id,
        turn=earlier,
        history=tuple(item.messages),
        tags=(None,) * earlier,
    )
