"""Replies to read: the same prompt before and after, and best and worst of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mint.evaluation.records import EvaluatedReply
from mint.pages.html import (
    missing,
    number,
    section,
    tactic_legend,
    tactic_list,
    tagged_reply,
    text,
)
from mint.reporting.curves import COMPONENT_NAMES
from mint.reporting.data import ReportData, paired_samples
from rewards.formula import COMPONENTS

_NUM_PAIRS = 6
_STEPS_SHOWN = 3


def pairs_section(data: ReportData) -> str:
    """The same held-out prompts answered before and after training."""
    title = "Replies side by side"
    pairs = paired_samples(data, _NUM_PAIRS)
    if not pairs:
        note = missing("Replies of both evaluations are needed to show them side by side.")
        return section("replies", title, note)
    lead = (
        f"{len(pairs)} held-out turns, evenly spaced through the file and not chosen by result; "
        "the first reply of each. Colours and labels are the tagger's tactics."
    )
    body = "".join(_pair(before, after) for before, after in pairs)
    return section("replies", title, tactic_legend() + body, lead)


def samples_section(data: ReportData) -> str:
    """Best and worst training replies of the first, middle and last logged steps."""
    title = "Best and worst training replies"
    if not data.samples:
        return section("samples", title, missing("No training replies were kept (samples.jsonl)."))
    steps = sorted({int(row["step"]) for row in data.samples})
    shown = sorted({steps[0], steps[len(steps) // 2], steps[-1]})[:_STEPS_SHOWN]
    names = [name for name in COMPONENTS if data.setting(f"mint.reward.{name}") != 0]
    blocks = []
    for step in shown:
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for row in data.samples:
            if int(row["step"]) == step:
                groups.setdefault(str(row["uid"]), []).append(row)
        group = next(iter(groups.values()))
        blocks.append(f"<h3>Step {step}</h3>" + _group(group, names))
    lead = (
        "From the group whose rewards differed most, at the first, a middle and the last step: "
        "siblings answer the same message, and only their difference is learnt from."
    )
    return section("samples", title, "".join(blocks), lead)


def _pair(before: EvaluatedReply, after: EvaluatedReply) -> str:
    earlier = (
        f'<p class="earlier">Previous supporter turn used {tactic_list(before.previous_counts)}</p>'
        if before.has_previous
        else '<p class="earlier">First supporter turn of the conversation</p>'
    )
    sides = "".join(
        f'<div class="side {kind}"><h4>{title}</h4>'
        f"{tagged_reply(reply.sentences, reply.tactics, reply.reply)}{_scores(reply)}</div>"
        for kind, title, reply in (
            ("before", "Before training", before),
            ("after", "After training", after),
        )
    )
    return (
        f'<article class="card pair"><p class="seeker"><b>Seeker</b> {text(before.seeker)}</p>'
        f'{earlier}<div class="sides">{sides}</div></article>'
    )


def _scores(reply: EvaluatedReply) -> str:
    if not reply.graded:
        return f'<p class="scores">not graded: {text(reply.reason or reply.status)}</p>'
    return (
        f'<p class="scores">composite <b>{number(reply.composite)}</b> · empathy '
        f"<b>{number(reply.empathy)}</b> · novelty <b>{number(reply.kl)}</b> · "
        f"{reply.num_tokens} tokens</p>"
    )


def _group(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    sides = []
    for row in sorted(rows, key=lambda row: row["rank"]):
        breakdown = row["breakdown"]
        parts = [
            f"{COMPONENT_NAMES[name]} <b>{number(breakdown[name])}</b> "
            f"({number(breakdown[f'{name}_norm'])} in group)"
            for name in names
            if breakdown[name] is not None
        ]
        reason = "" if parts else f"not graded: {text(row.get('reason') or breakdown['status'])}"
        sides.append(
            f'<div class="side {text(row["rank"])}"><h4>{text(row["rank"]).capitalize()}: reward '
            f"{number(breakdown['score'])}</h4>"
            f"{tagged_reply(row['sentences'], row['tactics'], row['reply'])}"
            f'<p class="scores">{" · ".join(parts)}{reason}</p></div>'
        )
    first = rows[0]
    return (
        f'<article class="card pair"><p class="seeker"><b>Seeker</b> {text(first["seeker"])}</p>'
        f'<p class="earlier">Previous supporter turn used {tactic_list(first["previous_counts"])}'
        f'</p><div class="sides">{"".join(sides)}</div></article>'
    )
