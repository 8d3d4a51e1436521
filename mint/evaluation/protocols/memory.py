"""Memory: is a fact of the first message still known eleven turns later?

A person names a fact, ten exchanges follow that do not, and in the twelfth message the person asks
for it. Three prompts: `whole` shows everything, `cut` the newest turns alone, and `summary` these
and what the model itself has written of the rest. A fact counts as known when one of its accepted
words stands in the reply; a reply that did not come, or says nothing, does not know it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from mint.config.prompts import PromptConfig, PromptStyle
from mint.data.memory import NOTHING, Summary
from mint.data.prompts import chat_messages
from mint.evaluation.generation import Generation
from mint.evaluation.journal import Journal, fingerprint
from mint.evaluation.remember import SUMMARY, running_summaries
from mint.evaluation.runner import Asker
from mint.evaluation.silence import ask_again
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest, ReplySource, Sampling
from mint.safety.statistics import Share, paired_difference, wilson
from mint.shell.console import progress_bar
from mint.shell.files import (
    parse_json,
    read_json,
    read_text,
    text_lines,
    write_json,
    write_json_lines,
)
from rewards.errors import DataError
from rewards.text import visible_reply
from rewards.types import Failure, Message

NAME = "memory"
WHOLE, CUT = "whole", "cut"
CONDITIONS = (WHOLE, CUT, SUMMARY)
SHOWN = 3
"""Seeker turns that the cut prompts show unless the caller says otherwise."""
_FIELDS = ("id", "opening", "question", "accepted")


class Fact(NamedTuple):
    """A person who says a fact first and asks for it last."""

    id: str
    opening: str
    question: str
    accepted: tuple[str, ...]

    def known_to(self, text: str) -> bool:
        """Whether an accepted word stands in a text."""
        words = "|".join(map(re.escape, self.accepted))
        return re.search(rf"\b(?:{words})\b", text, re.IGNORECASE) is not None


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """One reply to the question; a line of memory_replies.jsonl."""

    condition: str
    id: str
    reply: str | None
    """Visible text; None where there was no answer."""
    known: bool
    reason: str = ""
    """Why there is no reply."""
    summary: str = ""
    summary_reason: str = ""
    """Why the newest messages are not in the summary."""
    in_summary: bool | None = None
    """Whether the summary has the fact; None without one."""


def read_facts(folder: Path) -> tuple[list[Fact], list[tuple[str, str]]]:
    """The facts, and the exchanges between: (supporter, seeker). Raises DataError with the line."""
    path = folder / "facts.jsonl"
    facts = []
    for number, line in text_lines(read_text(path)):
        row = parse_json(line, path, number)
        if not isinstance(row, dict) or set(row) != set(_FIELDS) or not row["accepted"]:
            raise DataError(f"{path}:{number}: needs {', '.join(_FIELDS)}")
        facts.append(Fact(row["id"], row["opening"], row["question"], tuple(row["accepted"])))
    talk = read_json(folder / "talk.json")
    return facts, list(zip(talk["supporter"], talk["seeker"], strict=True))


def history_of(fact: Fact, talk: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
    """The whole conversation; its last message asks for the fact."""
    said = [Message("seeker", fact.opening)]
    for supporter, seeker in talk:
        said += [Message("supporter", supporter), Message("seeker", seeker)]
    return (*said[:-1], Message("seeker", fact.question))


async def run(
    source: ReplySource,
    folder: Path,
    output: Path,
    sampling: Sampling,
    prompts: PromptConfig,
    confidence: float,
    retry_failed: bool = False,
) -> str:
    """Ask all, write memory.json and memory_replies.jsonl; returns the shares for people.

    `folder` has facts and talk. Continues what an interrupted evaluation of the same output began.
    """
    facts, talk = read_facts(folder)
    shown = prompts.max_history_turns or SHOWN
    # Tactics of the turns between are not known, so no prompt speaks of them.
    style = PromptStyle.TACTICS if prompts.style is PromptStyle.TACTICS_HISTORY else prompts.style
    base = replace(prompts, style=style, memory=False)
    about = {
        "protocol": NAME,
        "subject": source.identity,
        "sampling": asdict(sampling),
        "prompts": base.card(),
        "shown": shown,
        "facts": fingerprint({fact.id: str((fact, talk)) for fact in facts}),
    }
    used = {
        WHOLE: replace(base, max_history_turns=None),
        CUT: replace(base, max_history_turns=shown),
        SUMMARY: replace(base, max_history_turns=shown, memory=True),
    }
    path = output / f"{NAME}.journal.jsonl"
    with Journal(path, about) as journal, progress_bar(transient=True) as progress:
        if retry_failed:
            ask_again(journal, talks=True)
        asker = Asker(source=source, sampling=sampling, journal=journal, progress=progress)
        found = [await _ask(asker, name, own, facts, talk) for name, own in used.items()]
    results = dict(zip(CONDITIONS, found, strict=True))
    write_json_lines(output / f"{NAME}_replies.jsonl", (asdict(r) for one in found for r in one))
    summary = summarise(results, confidence)
    write_json(output / f"{NAME}.json", {**about, "turns": len(talk) + 1, **summary})
    return in_words(summary, len(talk) + 1)


async def _ask(
    asker: Asker,
    condition: str,
    prompts: PromptConfig,
    facts: Sequence[Fact],
    talk: Sequence[tuple[str, str]],
) -> list[Recalled]:
    histories = {fact.id: history_of(fact, talk) for fact in facts}
    summaries = dict.fromkeys(histories, NOTHING)
    if prompts.memory:
        written = await running_summaries(asker, prompts, histories)
        summaries = {name: own[-1] for name, own in written.items()}
    task = asker.progress.add_task(f"{NAME}: {condition}", total=len(facts))
    requests = [
        ReplyRequest(
            ReplyKey(condition, name, len(talk), 0),
            tuple(chat_messages(prompts, history, [()] * len(talk), summaries[name])),
        )
        for name, history in histories.items()
    ]
    answers = await asker.answer(requests, task)
    return [
        _recalled(condition, fact, answer, summaries[fact.id] if prompts.memory else None)
        for fact, answer in zip(facts, answers.values(), strict=True)
    ]


def _recalled(
    condition: str, fact: Fact, answer: Generation | Failure, summary: Summary | None
) -> Recalled:
    text, reason = None, ""
    if isinstance(answer, Failure):
        reason = f"{answer.kind}: {answer.message}"
    else:
        text = visible_reply(answer.raw).text
    return Recalled(
        condition=condition,
        id=fact.id,
        reply=text,
        known=text is not None and fact.known_to(text),
        reason=reason,
        summary="" if summary is None else summary.text,
        summary_reason="" if summary is None else summary.reason,
        in_summary=None if summary is None else fact.known_to(summary.text),
    )


def summarise(results: Mapping[str, Sequence[Recalled]], confidence: float) -> dict[str, Any]:
    """Shares by condition with Wilson's intervals, and summary against cut, paired by fact."""
    conditions = {}
    for name, own in results.items():
        answered = [one for one in own if one.reply is not None]
        known = wilson(sum(one.known for one in answered), len(answered), confidence)
        conditions[name] = {
            "asked": len(own),
            "unanswered": len(own) - len(answered),
            "known": known._asdict(),
        }
    told = [one for one in results[SUMMARY] if one.in_summary is not None]
    written = wilson(sum(bool(one.in_summary) for one in told), len(told), confidence)
    conditions[SUMMARY] |= {
        "in_summary": written._asdict(),
        "summaries_failed": sum(bool(one.summary_reason) for one in told),
    }
    pairs = [
        (with_it.known, without.known)
        for with_it, without in zip(results[SUMMARY], results[CUT], strict=True)
        if with_it.reply is not None and without.reply is not None
    ]
    only_with, only_without = (pairs.count(one) for one in ((True, False), (False, True)))
    gain = paired_difference(only_with, only_without, len(pairs), confidence)
    return {
        "confidence": confidence,
        "intervals_are_over": "facts, one reply each of one model",
        "conditions": conditions,
        "summary_minus_cut": gain._asdict(),
    }


def in_words(summary: Mapping[str, Any], turns: int) -> str:
    """The shares for people."""
    lines = [f"A fact of turn 1, asked for at turn {turns}:"]
    for name, row in summary["conditions"].items():
        lost = f", {row['unanswered']} unanswered" if row["unanswered"] else ""
        lines.append(f"  {name:<8} known in {_share(row['known'])} of {row['asked']}{lost}")
    told = summary["conditions"][SUMMARY]
    lines.append(
        f"  the fact is in the summary in {_share(told['in_summary'])}"
        + (f"; {told['summaries_failed']} summaries failed" if told["summaries_failed"] else "")
    )
    lines.append(f"  summary minus cut {_share(summary['summary_minus_cut'], '+')}")
    return "\n".join(lines)


def _share(row: Mapping[str, float | None], sign: str = "") -> str:
    share = Share(**row)
    if share.value is None:
        return "no data"
    return f"{share.value:{sign}.2f} [{share.low:{sign}.2f}, {share.high:{sign}.2f}]"
