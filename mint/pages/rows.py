"""Named rows of dots with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mint.pages import svg
from mint.pages.csv_data import csv_link
from mint.pages.marks import LABEL, ROW, known, marker, row_name, whisker
from mint.pages.svg import Axis, Scale, Span

_RIGHT = 52.0


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One value in a row."""

    value: float
    kind: str
    title: str
    interval: Span = (None, None)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A named row of dots over an optional band."""

    name: str
    dots: tuple[Dot, ...]
    band: tuple[float, float] | None = None
    note: str = ""
    """Short text at the right end."""


def dot_rows(rows: Sequence[Row], axis: Axis, description: str) -> str:
    """A row a system: band (what chance gives), then dots with their intervals."""
    ends = [end for r in rows for d in r.dots for end in (d.value, *d.interval)]
    ticks = axis.ticks([*ends, *(end for r in rows for end in r.band or ())])
    bottom = ROW * len(rows) + 4
    x = Scale(ticks[0], ticks[-1], LABEL, svg.WIDTH - _RIGHT)
    parts = [svg.horizontal_axis(x, ticks, svg.tick_labels(ticks), axis.title, (0, bottom))]
    if axis.mark is not None:
        parts.append(svg.line("zero", x(axis.mark), 0, x(axis.mark), bottom))
    parts += [_row(row, ROW * i + ROW / 2 + 2, x) for i, row in enumerate(rows)]
    told = "; ".join(dot.title for row in rows for dot in row.dots)
    saved = (
        (row.name, dot.kind, dot.value, *dot.interval, *(row.band or (None, None)))
        for row in rows
        for dot in row.dots
    )
    head = ("name", "kind", axis.title, "low", "high", "chance low", "chance high")
    return svg.drawing(parts, bottom + svg.BOTTOM, f"{description} {told}") + csv_link(
        description, head, saved
    )


def _row(row: Row, middle: float, x: Scale) -> str:
    parts = [row_name(row.name, middle + 4)]
    if row.band is not None:
        low, high = map(x, row.band)
        parts.append(
            f'<rect class="band" x="{low:.1f}" y="{middle - 8:.1f}" '
            f'width="{max(high - low, 2):.1f}" height="16"/>'
        )
    for dot in row.dots:
        ends = known(dot.interval)
        if ends is not None:
            parts.append(whisker(dot.kind, (x(ends[0]), middle), (x(ends[1]), middle)))
        parts.append(marker(x(dot.value), middle, dot.kind, dot.title))
    parts.append(svg.words("value", svg.WIDTH - 2, middle + 4, row.note, "end"))
    return "".join(parts)
