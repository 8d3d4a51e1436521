"""The table of all evaluated replies: which figures it shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from mint.evaluation.records import EvaluatedReply
from mint.pages.explorer import RATING, Column, Entry, explorer
from mint.pages.html import missing, section, text
from mint.reporting.data import ReportData, spread

MOST_REPLIES = 6000
"""More make a page slow to open; then evenly spaced ones are shown, and the page says so."""
_FIGURES = {
    "composite": Column(key="composite", title="Composite", digits=3),
    "kl": Column(key="kl", title="Novelty"),
    "num_tokens": Column(key="num_tokens", title="Tokens", digits=0),
}


def explorer_section(data: ReportData) -> str:
    """All replies before and after training."""
    return replies_table({"before": data.before_replies, "after": data.after_replies})


def replies_table(systems: Mapping[str, Sequence[EvaluatedReply]]) -> str:
    """All replies of each system, to sort, search, filter and read in their conversations."""
    title = "All replies"
    named = [(name, reply) for name, replies in systems.items() for reply in replies]
    if not named:
        return section("all-replies", title, missing("No reply has been evaluated."))
    shown = spread(named, MOST_REPLIES)
    number = f"{len(shown):,}"
    if len(shown) < len(named):
        number += f" of {len(named):,} (evenly spaced)"
    replies = [reply for _, reply in shown]
    scalar = all(reply.judge_logit is None for reply in replies)
    parts = list(dict.fromkeys(name for reply in replies for name in reply.parts))
    columns = [
        Column(key=RATING, title="Empathy" if scalar else "Rating"),
        *(Column(key=f"part/{name}", title=name.capitalize()) for name in parts),
        *_FIGURES.values(),
    ]
    entries = [_entry(name, reply, parts) for name, reply in shown]
    lead = (
        f"{text(number)} evaluated replies. A click on a heading sorts, a click on a row opens "
        "the whole conversation with the reply's tactics and the parts of its rating."
    )
    return section("all-replies", title, explorer(entries, columns), lead)


def _entry(system: str, reply: EvaluatedReply, parts: Iterable[str]) -> Entry:
    rating = reply.empathy if reply.empathy is not None else reply.judge_logit
    values = {RATING: rating, "composite": reply.composite, "kl": reply.kl}
    values |= {f"part/{name}": reply.parts.get(name) for name in parts}
    values["num_tokens"] = float(reply.num_tokens)
    return Entry(
        place=f"{reply.conversation_id} · turn {reply.turn + 1} · {reply.sample + 1}",
        system=system,
        seeker=reply.seeker,
        reply=reply.reply,
        values={key: _finite(value) for key, value in values.items()},
        graded=reply.graded,
        reason="" if reply.graded else f"not graded: {reply.reason or reply.status}",
        tricks=reply.tricks or (),
        sentences=reply.sentences,
        tactics=reply.tactics,
        history=reply.history,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
