"""Replies to read: the same prompt before and after, and best and worst of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mint.evaluation.records import EvaluatedReply
from mint.pages.html import chip, missing, number, section, spaced, text
from mint.pages.replies import (
    conversation,
    seeker,
    side,
    side_by_side,
    tactic_legend,
    tactic_list,
    tagged_reply,
)
from mint.reporting.curves import COMPONENTS
from mint.reporting.data import ReportData, spread

_NUM_PAIRS = 6


def pairs_section(data: ReportData) -> str:
    """The same held-out prompts answered before and after training."""
    title = "Replies side by side"
    pairs = _pairs(data)
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
    if all("dialogue" in row for row in data.samples):
        return ""
    steps = sorted({int(row["step"]) for row in data.samples})
    names = [name for name in COMPONENTS if data.setting(f"mint.reward.{name}") != 0]
    blocks = []
    for step in sorted({steps[0], steps[len(steps) // 2], steps[-1]}):
        rows = [row for row in data.samples if int(row["step"]) == step]
        group = [row for row in rows if row["uid"] == rows[0]["uid"]]
        blocks.append(f"<h3>Step {step}</h3>" + _group(group, names))
    lead = (
        "From the group whose rewards differed most, at the first, a middle and the last step: "
        "siblings answer the same message, and only their difference is learnt from."
    )
    return section("samples", title, "".join(blocks), lead)


def _pairs(data: ReportData) -> list[tuple[EvaluatedReply, EvaluatedReply]]:
    """First replies before and after to the same prompts, evenly spaced over the turns.

    Turns with a previous supporter turn come first, because only there can a reply repeat it.
    """
    after = {(r.conversation_id, r.turn): r for r in data.after_replies if r.sample == 0}
    pairs = [
        (reply, after[reply.conversation_id, reply.turn])
        for reply in data.before_replies
        if reply.sample == 0 and (reply.conversation_id, reply.turn) in after
    ]
    return spread([pair for pair in pairs if pair[0].has_previous] or pairs, _NUM_PAIRS)


def _pair(before: EvaluatedReply, after: EvaluatedReply) -> str:
    earlier = "First supporter turn of the conversation"
    if before.has_previous:
        earlier = f"Previous supporter turn used {tactic_list(before.previous_counts)}"
    said = conversation(before.history) + seeker(before.seeker)
    sides = [
        side(
            f"{kind.capitalize()} training",
            tagged_reply(reply.sentences, reply.tactics, reply.reply),
            reply_scores(reply, f"composite <b>{number(reply.composite)}</b> · "),
            kind,
        )
        for kind, reply in (("before", before), ("after", after))
    ]
    return side_by_side(f'{said}<p class="earlier">{earlier}</p>', sides)


def reply_scores(reply: EvaluatedReply, first: str = "", last: str = "") -> str:
    """Scores of a held-out reply in one line, between ready HTML, or why it has none."""
    if not reply.graded:
        return f"not graded: {text(reply.reason or reply.status)}"
    return (
        f"{first}empathy <b>{number(reply.empathy)}</b> · novelty <b>{number(reply.kl)}</b> · "
        f"{reply.num_tokens} tokens{last}{rating_parts(reply.parts, reply.tricks)}"
    )


def rating_parts(parts: Mapping[str, float] | None, tricks: Sequence[str] | None) -> str:
    """The parts of a rating and what held it down, as ready HTML after a line of scores; "" for a
    judge that gives neither."""
    shown = "".join(f" · {text(name)} {number(value)}" for name, value in (parts or {}).items())
    if not tricks:
        return shown
    names = ", ".join(spaced(name) for name in tricks)
    return f"{shown} · {chip('worse', f'held down: {names}')}"


def _group(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    sides = []
    for row in sorted(rows, key=lambda row: row["rank"]):
        breakdown = row["breakdown"]
        parts = [
            f"{COMPONENTS[name].name} <b>{number(breakdown[name])}</b> "
            f"({number(breakdown[f'{name}_norm'])} in group)"
            for name in names
            if breakdown[name] is not None
        ]
        reason = "" if parts else f"not graded: {text(row.get('reason') or breakdown['status'])}"
        sides.append(
            side(
                f"{row['rank'].capitalize()}: reward {number(breakdown['score'])}",
                tagged_reply(row["sentences"], row["tactics"], row["reply"]),
                " · ".join(parts) + reason + rating_parts(row.get("parts"), row.get("tricks")),
                row["rank"],
            )
        )
    used = f"Previous supporter turn used {tactic_list(rows[0]['previous_counts'])}"
    return side_by_side(f'{seeker(rows[0]["seeker"])}<p class="earlier">{used}</p>', sides)
