"""An audit for JSON and as Markdown for the terminal; the list of what to leave out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mint.data.auditing.findings import KINDS, Audit, Finding

_SHOWN = 6
_WIDTH = 100
WHOLE = frozenset({"language", "code", "jailbreak", "role_play", "task"})
"""Kinds that speak against the conversation and not just one row of it."""


def as_json(audit: Audit, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything; `facts` come first."""
    return {
        **facts,
        "composition": audit.composition,
        "counts": {kind: _count(audit.of(kind)) for kind in KINDS},
        "findings": [asdict(item) for item in audit.findings],
    }


def markdown(audit: Audit, name: str) -> str:
    """Make-up of the file, counts, and the first findings of each kind."""
    parts = [f"# Audit of {name}", _composition(audit), _counts(audit)]
    for kind in KINDS:
        items = audit.of(kind)
        if items:
            parts.append(_examples(kind, items))
    return "\n\n".join(parts) + "\n"


def left_out(audit: Audit, kinds: Collection[str]) -> list[dict[str, Any]]:
    """What to leave out for findings of `kinds`: {conversation_id[, turn], reason}, in order.

    Of duplicates the first copy stays. An entry without turn is the whole conversation. Unusable
    records are not listed: they are left out by `skip_bad`.
    """
    entries: dict[tuple[str, int | None], list[str]] = {}
    for item in audit.findings:
        if item.kind in kinds and not item.first and item.row is not None:
            turn = None if item.kind in WHOLE else item.turn
            entries.setdefault((str(item.conversation_id), turn), []).append(item.kind)
    whole = {name for name, turn in entries if turn is None}
    return [
        {
            "conversation_id": name,
            **({} if turn is None else {"turn": turn}),
            "reason": ", ".join(dict.fromkeys(reasons)),
        }
        for (name, turn), reasons in entries.items()
        if turn is None or name not in whole
    ]


def _count(items: Sequence[Finding]) -> dict[str, int]:
    return {
        "findings": len(items),
        "rows": len({item.row for item in items if item.row is not None}),
        "conversations": len({item.conversation_id for item in items}),
    }


def _composition(audit: Audit) -> str:
    facts = audit.composition
    turns = facts["turns"]
    lines = [
        f"{facts['conversations']:,} conversations, {facts['rows']:,} rows, "
        f"{facts['unique_prompts']:,} unique prompts"
    ]
    if turns is not None:
        lines.append(
            f"- supporter turns a conversation: mean {turns['mean']}, median {turns['median']}, "
            f"{turns['min']} to {turns['max']}"
        )
    named = (("sources", "sources"), ("models", "models"), ("languages", "seeker messages"))
    for key, title in named:
        listed = ", ".join(f"{name} {count:,}" for name, count in facts[key].items())
        lines.append(f"- {title}: {listed}")
    for key, who in (("seeker_words", "seeker"), ("supporter_words", "supporter")):
        words = facts[key]
        if words is not None:
            lines.append(
                f"- words a {who} message: mean {words['mean']:.0f}, median {words['median']}, "
                f"longest {words['max']:,}"
            )
    return "\n".join(lines)


def _counts(audit: Audit) -> str:
    width = max(map(len, KINDS))
    lines = [
        f"| {'finding':<{width}} | rows   | conversations | what it is |",
        f"|{'-' * (width + 2)}|--------|---------------|------------|",
    ]
    for kind, meaning in KINDS.items():
        count = _count(audit.of(kind))
        rows = count["rows"] if kind != "unusable" else count["findings"]
        lines.append(
            f"| {kind:<{width}} | {rows:>6,} | {count['conversations']:>13,} | {meaning} |"
        )
    return "\n".join(lines)


def _examples(kind: str, items: Sequence[Finding]) -> str:
    lines = [f"## {kind}", ""]
    one_a_row = list({(i.row, i.conversation_id): i for i in reversed(items)}.values())[::-1]
    for item in one_a_row[:_SHOWN]:
        place = "" if item.row is None else f"row {item.row}, "
        turn = "" if item.turn is None else f" turn {item.turn}"
        lines.append(f"- {place}{item.conversation_id}{turn}: {_short(item.detail)}")
    if len(one_a_row) > _SHOWN:
        lines.append(f"- and {len(one_a_row) - _SHOWN:,} more (output=DIR writes all)")
    return "\n".join(lines)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDTH else flat[: _WIDTH - 1] + "…"
