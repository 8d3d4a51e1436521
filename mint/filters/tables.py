"""Tags and ratings for a person's eyes: a table a reply, coloured where the terminal can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mint.filters.lines import LABELS, Answered
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS, NEGATIVE_DIMENSIONS

_COLOURS: Mapping[str, str] = dict(
    zip(
        TACTIC_NAMES,
        (
            *("blue", "cyan", "yellow", "green", "magenta"),
            *("bright_blue", "red", "bright_cyan", "bright_yellow", "bright_green"),
        ),
        strict=True,
    )
)
_BAR = 20
_REPLY_CHARACTERS = 300
_AGGREGATE = "aggregated_empathy"


def tags_table(answered: Answered) -> RenderableType:
    """Each sentence with its tactics and their probabilities."""
    if "error" in answered.row:
        return _with_title(answered, _error(answered))
    table = Table.grid(padding=(0, 2))
    table.add_column(ratio=3)
    table.add_column(ratio=2)
    for sentence in answered.row["sentences"]:
        tags = Text(" ").join(
            Text(f"{name} {sentence['probabilities'][name]:.2f}", style=_COLOURS[name])
            for name in sentence["tactics"]
        )
        table.add_row(Text(sentence["text"]), tags or Text("-", style="dim"))
    table.expand = True
    return _with_title(answered, table)


def ratings_table(answered: Answered) -> RenderableType:
    """The reply and a bar for each dimension, 1 to 5; low is good where it says so."""
    reply = answered.request["reply"] if "reply" in answered.request else ""
    short = " ".join(str(reply).split())
    if len(short) > _REPLY_CHARACTERS:
        short = short[: _REPLY_CHARACTERS - 1] + "…"
    if "error" in answered.row:
        return _with_title(answered, *([Text(short)] if short else []), _error(answered))
    table = Table.grid(padding=(0, 2))
    for name in (*DIMENSIONS, _AGGREGATE):
        value = float(answered.row[name])
        goodness = 6 - value if name in NEGATIVE_DIMENSIONS else value
        colour = "green" if goodness >= 3.5 else "yellow" if goodness >= 2.5 else "red"
        note = "low is good" if name in NEGATIVE_DIMENSIONS else ""
        style = "bold" if name == _AGGREGATE else ""
        table.add_row(
            Text(name, style=style),
            bar(value, colour),
            Text(f"{value:.2f}", style=style),
            Text(note, style="dim"),
        )
    return _with_title(answered, Text(short), table, *_remarks(answered.row))


def _remarks(row: Mapping[str, Any]) -> list[RenderableType]:
    remarks = []
    if row["uncertainty"] is not None:
        remarks.append(Text(f"expected error of the aggregate {row['uncertainty']:.2f}", "dim"))
    if row["tricks"]:
        remarks.append(Text(f"rating held down: {', '.join(row['tricks'])}", "red"))
    return [*remarks]


def bar(value: float, colour: str) -> Text:
    """A bar for a rating between 1 (empty) and 5 (full)."""
    full = round((min(max(value, 1.0), 5.0) - 1) / 4 * _BAR)
    return Text("█" * full, style=colour) + Text("░" * (_BAR - full), style="dim")


def _with_title(answered: Answered, *parts: RenderableType) -> RenderableType:
    labels = [f"{key} {answered.row[key]}" for key in LABELS if key in answered.row]
    title = Text(", ".join(labels) or "reply", style="bold")
    return Group(title, *(Padding(part, (0, 0, 0, 2)) for part in parts), Text())


def _error(answered: Answered) -> Text:
    problem: Any = answered.row["error"]
    return Text(f"error: {problem}", style="red")
