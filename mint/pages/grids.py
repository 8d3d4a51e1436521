"""Grids: a heat map of shares, and every pair of systems."""

from __future__ import annotations

from collections.abc import Sequence

from mint.pages import svg
from mint.pages.csv_data import csv_link
from mint.pages.html import text
from mint.pages.marks import LABEL, ROW, cell, pair_cell, row_name

_ONE_LINE = 18.0
"""Columns at least this wide have room for a number of two digits."""
_LEAST = 17.5
"""Lowest row that has room for a name."""


def heat_map(
    names: Sequence[str],
    columns: Sequence[str],
    shares: Sequence[Sequence[float]],
    shown: Sequence[Sequence[str]],
    description: str,
) -> str:
    """A cell for each row and column, the darker the larger its share of 0 to 1, with its text."""
    head = 10.0 + 6.6 * max(map(len, columns))
    width = (svg.WIDTH - LABEL) / len(columns)
    parts = [
        f'<text class="name" text-anchor="start" transform="translate('
        f'{LABEL + width * (c + 0.5) + 4:.1f} {head - 5:.1f}) rotate(-90)">{text(title)}</text>'
        for c, title in enumerate(columns)
    ]
    for r, name in enumerate(names):
        y = head + ROW * r
        parts.append(row_name(name, y + 16))
        for c, title in enumerate(columns):
            x, said = LABEL + width * c, shown[r][c]
            shade = 0.04 + 0.61 * min(1.0, shares[r][c])
            parts.append(cell("heat", (x, y, width, ROW), f"{name}, {title}: {said}", shade))
            parts.append(svg.words("cell", x + width / 2, y + 16.5, said, "middle"))
    rows = (
        f"{name}: " + ", ".join(f"{c} {v}" for c, v in zip(columns, row, strict=True))
        for name, row in zip(names, shown, strict=True)
    )
    saved = ([name, *row] for name, row in zip(names, shares, strict=True))
    return svg.drawing(
        parts, head + ROW * len(names) + 4, f"{description} {'; '.join(rows)}"
    ) + csv_link(description, ["", *columns], saved)


def pair_matrix(
    names: Sequence[str], tags: Sequence[str], states: Sequence[Sequence[str]], description: str
) -> str:
    """Rows against columns; states are those of `pair_cell`, or self."""
    size = min(ROW, (svg.WIDTH - LABEL - 8) / len(names))
    height = max(_LEAST, size)
    # Narrow columns have their numbers on two lines in turn.
    lines = 1 if size >= _ONE_LINE else 2
    head = 6.0 + 14.0 * lines
    parts = [
        svg.words("tick", LABEL + size * (c - 0.5), head - 8 - 14 * (c % lines), tag, "middle")
        for c, tag in enumerate(tags, start=1)
    ]
    for r, name in enumerate(names):
        y = head + height * r
        parts.append(row_name(name, y + height / 2 + 4))
        for c, state in enumerate(states[r]):
            if state != "self":
                box = (LABEL + size * c, y, size, height)
                parts.append(pair_cell(box, state, f"{name} against {names[c]}"))
    saved = ([name, *row] for name, row in zip(names, states, strict=True))
    return svg.drawing(parts, head + 4 + height * len(names), description) + csv_link(
        description, ["against", *names], saved
    )
