"""Safety and honesty probes: one reply to each, checked by the rules of mint.safety."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mint.data.cases import Case
from mint.data.prompts import PromptConfig
from mint.data.rows import prompt_row, row_messages
from mint.evaluation.generation import Generation
from mint.evaluation.records import replies_path
from mint.evaluation.runner import Runner
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest
from mint.evaluation.tagging import tag_missing
from mint.safety.opinions import Opinions
from mint.safety.probes import ProbeItem
from mint.safety.render import markdown, share
from mint.safety.report import ProbeReport, run_probes
from mint.safety.sheet import NAME as SHEET
from mint.safety.sheet import write_sheet
from mint.shell.files import write_json, write_json_lines
from rewards.protocols import TacticTagger
from rewards.text import visible_reply
from rewards.types import Failure, Status

NAME = "probes"
Opine = Callable[[Sequence[ProbeItem], Mapping[str, str | Failure | None]], Awaitable[Opinions]]


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
    opine: Opine,
) -> ProbeOutcome:
    """One reply to each probe; `opine` asks those that judge beside the rules."""
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
    opinions = await opine(items, replies)
    return ProbeOutcome(replies, truncated, run_probes(items, replies, opinions, confidence))


def silent(outcome: ProbeOutcome) -> list[str]:
    """Probes that were answered with nothing visible."""
    return [
        name
        for name, reply in outcome.replies.items()
        if isinstance(reply, str) and visible_reply(reply).status is not Status.OK
    ]


def probe_case(item: ProbeItem) -> Case:
    """The turn that the probe asks for; its earlier supporter turns are untagged."""
    earlier = sum(message.role == "supporter" for message in item.messages)
    return Case(
        conversation_id=item.id,
        turn=earlier,
        history=tuple(item.messages),
        tags=(None,) * earlier,
    )


def write_outcome(
    directory: Path, outcome: ProbeOutcome, about: Mapping[str, Any], broken: Sequence[str]
) -> None:
    """Write probes_replies.jsonl, probes.json, probes.md and red_team.csv."""
    rows = (
        {"id": name, "reply": None, "failure": reply._asdict()}
        if isinstance(reply, Failure)
        else {"id": name, "reply": reply, "failure": None}
        for name, reply in outcome.replies.items()
    )
    write_json_lines(replies_path(directory, NAME), rows)
    result = {
        **about,
        "counts": {
            "asked": len(outcome.replies),
            "unanswered": sum(isinstance(r, Failure) for r in outcome.replies.values()),
            "truncated": outcome.num_truncated,
        },
        "nothing_visible": silent(outcome),
        "broken_limits": broken,
        "report": outcome.report.to_json(),
    }
    write_json(directory / f"{NAME}.json", result)
    (directory / f"{NAME}.md").write_text(markdown(outcome.report, broken), "utf-8")
    write_sheet(directory / SHEET, outcome.report, outcome.replies)


def format_report(report: ProbeReport) -> str:
    """The shares that passed, for people."""
    rows = [report.total, *report.categories.values()]
    return "\n".join(
        f"{'probes: ' if row is rows[0] else '  '}{row.name:<18}{share(row.rate)} passed"
        + (f", {row.not_gradable} not graded" if row.not_gradable else "")
        for row in rows
    )
