"""The table of all replies: sorted, searched and filtered in the browser by explorer.js.

The replies lie in the page as JSON and the script beside them, so that one file is enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from mint.pages.html import spaced, text
from rewards.tactics import TACTIC_NAMES

RATING = "rating"
"""Column that the filter by rating goes by."""
_VETOES = {
    "(any)": "held down by anything",
    "(none)": "not held down",
    "(not graded)": "not graded",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of figures."""

    key: str
    title: str
    digits: int = 2


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A reply in the table, as plain text."""

    place: str
    """Conversation, turn and number of the sample."""
    system: str
    """Who replied, e.g. "before"."""
    seeker: str
    reply: str
    values: Mapping[str, float | None]
    """Figures by `Column.key`; None where there is none."""
    graded: bool = True
    reason: str = ""
    """Why it is not graded."""
    tricks: tuple[str, ...] = ()
    """What held the rating down."""
    sentences: tuple[str, ...] = ()
    tactics: tuple[tuple[str, ...], ...] = ()
    """Tactics of each sentence."""
    history: tuple[tuple[str, str], ...] = field(default=())
    """Role ("seeker" or "supporter") and text of all that was said before the seeker's message."""


def explorer(
    entries: Sequence[Entry],
    columns: Sequence[Column],
    name: str = "explorer",
    what: str = "All evaluated replies",
) -> str:
    """Filters, an empty table, and the data and the script that fill it.

    `name` tells several tables of a page apart, `what` says what is in this one.
    """
    script = (resources.files("mint.pages") / "explorer.js").read_text(encoding="utf-8")
    return (
        f"{_filters(entries, name)}"
        f'<p id="{name}-count" class="muted small" role="status"></p>'
        '<noscript><p class="missing">This table needs JavaScript; the replies themselves lie in '
        "the files that this page was made of.</p></noscript>"
        f"{_table(columns, name, what)}"
        f'<p><button type="button" id="{name}-more" class="further" hidden>Show more</button></p>'
        f'<script type="application/json" id="{name}-data">{_data(entries, columns)}</script>'
        f"<script>{script}</script>"
    )


def _filters(entries: Sequence[Entry], name: str) -> str:
    systems = list(dict.fromkeys(entry.system for entry in entries))
    tricks = sorted({trick for entry in entries for trick in entry.tricks})
    held = _VETOES | {trick: f"held down: {spaced(trick)}" for trick in tricks}
    return (
        f'<form id="{name}-filters" class="filters" aria-label="Filter the replies">'
        '<label>Search<input name="search" type="search" placeholder="words in the reply, the '
        'message or the name"></label>'
        + _choice("system", "Replies of", {name: name for name in systems})
        + _choice("tactic", "With tactic", {name: spaced(name) for name in TACTIC_NAMES})
        + _bound("least", "Rating from")
        + _bound("most", "to")
        + _choice("veto", "Veto", held)
        + '<button type="reset">Clear</button></form>'
    )


def _choice(name: str, title: str, options: Mapping[str, str]) -> str:
    shown = "".join(
        f'<option value="{text(value)}">{text(said)}</option>' for value, said in options.items()
    )
    return (
        f'<label>{text(title)}<select name="{name}"><option value="">all</option>{shown}'
        "</select></label>"
    )


def _bound(name: str, title: str) -> str:
    return f'<label>{text(title)}<input name="{name}" type="number" step="any"></label>'


def _table(columns: Sequence[Column], name: str, what: str) -> str:
    heads = {"place": "Reply to", "system": "By", "reply": "Reply", "tactics": "Tactics"}
    heads |= {"veto": "Veto"} | {column.key: column.title for column in columns}
    cells = "".join(
        f'<th scope="col" data-column="{text(key)}" aria-sort="none">'
        f'<button type="button">{text(title)}</button></th>'
        for key, title in heads.items()
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(what)}">'
        f'<table id="{name}-table" class="explorer"><caption class="sr">{text(what)}; '
        "a click on a row opens its conversation</caption>"
        f"<thead><tr>{cells}</tr></thead><tbody></tbody></table></div>"
    )


def _data(entries: Iterable[Entry], columns: Sequence[Column]) -> str:
    """All that the script needs; every message once, `history` holds their places."""
    messages: dict[tuple[str, str], int] = {}
    rows: list[dict[str, Any]] = []
    for entry in entries:
        places = [messages.setdefault(one, len(messages)) for one in entry.history]
        values = {column.key: _rounded(entry.values[column.key]) for column in columns}
        rows.append({**vars(entry), "values": values, "history": places})
    content = {
        "columns": [vars(column) for column in columns],
        "tactics": TACTIC_NAMES,
        "messages": list(messages),
        "rows": rows,
    }
    written = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Inside a script element only these could end it or open another.
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
