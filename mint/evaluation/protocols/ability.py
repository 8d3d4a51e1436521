"""What a model could do before it learnt to comfort: sums and instructions, checked exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.ability import SETS, Question, holds, load_questions
from mint.evaluation.generation import Generation
from mint.evaluation.journal import Journal, fingerprint
from mint.evaluation.runner import Asker
from mint.evaluation.silence import ask_again
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest, ReplySource, Sampling
from mint.evaluation.statistics.estimates import clustered_mean
from mint.shell.console import progress_bar
from mint.shell.files import read_json_lines, write_json, write_json_lines
from rewards.text import visible_reply
from rewards.types import Failure, Status

NAME = "ability"
MAX_TOKENS = 256
THINKING_TOKENS = 2048
"""Of a model that thinks before it answers."""


async def run(
    source: ReplySource,
    output: Path,
    sampling: Sampling,
    statistics: EvaluationConfig,
    retry_failed: bool = False,
) -> str:
    """Ask all questions once, write ability.json and ability_answers.jsonl; returns the shares for
    people. Continues what an interrupted evaluation of the same output has begun."""
    questions = load_questions()
    about = {
        "protocol": NAME,
        "subject": source.identity,
        "sampling": asdict(sampling),
        "questions": fingerprint({one.id: str(one) for one in questions}),
    }
    path = output / f"{NAME}.journal.jsonl"
    with Journal(path, about) as journal, progress_bar(transient=True) as progress:
        if retry_failed:
            ask_again(journal, talks=False)
        asker = Asker(source=source, sampling=sampling, journal=journal, progress=progress)
        task = progress.add_task(f"{NAME}: answers", total=len(questions))
        found = await asker.answer([_request(one) for one in questions], task)
    rows = [_row(one, found[_request(one).key]) for one in questions]
    write_json_lines(output / f"{NAME}_answers.jsonl", rows)
    sets = {name: _share(rows, name, statistics) for name in SETS}
    write_json(output / f"{NAME}.json", {**about, "sets": sets})
    return "\n".join(_in_words(name, row) for name, row in sets.items())


def compare(before: Path, after: Path, statistics: EvaluationConfig) -> str:
    """After - before of two folders, paired by question; writes ability_comparison.json above
    them and returns what it says, for people."""
    sides = [
        {row["id"]: row for row in read_json_lines(folder / f"{NAME}_answers.jsonl")}
        for folder in (before, after)
    ]
    rows = {}
    for name in SETS:
        pairs = [
            (key, float(sides[1][key]["holds"]) - float(row["holds"]))
            for key, row in sides[0].items()
            if row["set"] == name
            and key in sides[1]
            and None not in (row["holds"], sides[1][key]["holds"])
        ]
        if pairs:
            rows[name] = asdict(clustered_mean(pairs, statistics))
    write_json(after.parent / f"{NAME}_comparison.json", rows)
    return "\n".join(
        f"{name}: {row['mean']:+.1%} [{row['ci_low']:+.1%}, {row['ci_high']:+.1%}] after - before"
        for name, row in rows.items()
        if row["ci_low"] is not None
    )


def _request(question: Question) -> ReplyRequest:
    key = ReplyKey(NAME, question.id, 0, 0)
    return ReplyRequest(key, ({"role": "user", "content": question.prompt},))


def _row(question: Question, answer: Generation | Failure) -> dict[str, Any]:
    """`holds` None: there was no answer, which is no wrong one."""
    told: dict[str, Any]
    if isinstance(answer, Failure):
        told = {"holds": None, "answer": None, "failure": answer._asdict()}
    else:
        seen = visible_reply(answer.raw)
        told = {"holds": holds(question, seen.text), "answer": seen.text, "failure": None}
        if seen.status is Status.TRUNCATED_THINK:
            message = "the answer ends within its thinking; raise max_new_tokens"
            told = {"holds": None, "answer": "", "failure": {"kind": "cut", "message": message}}
    return {"id": question.id, "set": question.set, **told}


def _share(
    rows: Sequence[Mapping[str, Any]], name: str, statistics: EvaluationConfig
) -> dict[str, Any]:
    known = [
        (row["id"], float(row["holds"]))
        for row in rows
        if row["set"] == name and row["holds"] is not None
    ]
    asked = sum(row["set"] == name for row in rows)
    value = asdict(clustered_mean(known, statistics, share=True)) if known else {}
    return {**value, "asked": asked, "unanswered": asked - len(known)}


def _in_words(name: str, row: Mapping[str, Any]) -> str:
    if not row.get("n"):
        return f"{name}: nothing was answered"
    ends = "" if row["ci_low"] is None else f" [{row['ci_low']:.1%}, {row['ci_high']:.1%}]"
    lost = f", {row['unanswered']} unanswered" if row["unanswered"] else ""
    return f"{name}: {row['mean']:.1%}{ends} of {row['asked']}{lost}"
