"""Marks, legends and scales that all plots share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mint.pages.html import number, text
from mint.pages.svg import WIDTH, nice_ticks

LABEL = 172.0
"""Where rows begin, right of their names."""
ROW = 25.0
"""Height of a row."""
_FITS, _CUT = 23, 34


def drawing(body: str, height: float, description: str) -> str:
    """The SVG element with its text alternative."""
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-label="{text(description)}">{body}</svg>'
    )


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Marker kind and its meaning, or "band" for the shaded range."""
    items = "".join(f"<li>{_swatch(kind)}{text(name)}</li>" for kind, name in entries)
    return f'<ul class="keys">{items}</ul>'


def tick_text(tick: float, ticks: Sequence[float]) -> str:
    """A tick with as many decimals as tell the ticks apart."""
    step = ticks[1] - ticks[0]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += bool(round(step * 10**digits, 6) % 1)
    return number(tick, digits)


def ticks_for(
    values: Sequence[float], low: float | None, high: float | None, mark: float | None
) -> list[float]:
    """Round ticks that cover the finite values and the mark; `low` and `high` fix an end."""
    known = [v for v in (*values, mark) if v is not None and math.isfinite(v)]
    first = min(known, default=0.0) if low is None else low
    last = max(known, default=1.0) if high is None else high
    return nice_ticks(first, last)


def share_of(value: float, ticks: Sequence[float]) -> float:
    """Where a value lies between the first and the last tick, clipped to [0, 1]."""
    low, high = ticks[0], ticks[-1]
    return (max(low, min(high, value)) - low) / (high - low)


def marker(x: float, y: float, kind: str, title: str) -> str:
    """Shape and colour both say the kind, so that neither is needed alone."""
    shapes = {
        "people": f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6Z",
        "trained": f"M{x - 5:.1f} {y - 5:.1f}h10v10h-10Z",
        "other": f"M{x:.1f} {y - 6:.1f}l6 11h-12Z",
        "published": f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10",
    }
    inside = f"<title>{text(title)}</title>"
    if kind in shapes:
        return f'<path class="mk {kind}" d="{shapes[kind]}">{inside}</path>'
    return f'<circle class="mk {kind}" cx="{x:.1f}" cy="{y:.1f}" r="5">{inside}</circle>'


def pair_cell(box: tuple[float, float, float, float], state: str, title: str) -> str:
    """A cell of a comparison, filled or framed, with an arrow up or down.

    `box` holds left, top, width and height.
    """
    x, y, width, height = box
    middle_x, middle_y, arm = x + width / 2, y + height / 2, min(width, height) * 0.22
    turn = -arm if state.endswith("up") else arm
    arrow = (
        f'<path class="arrow" d="M{middle_x - arm:.1f} {middle_y - turn / 2:.1f}'
        f'l{arm:.1f} {turn:.1f}l{arm:.1f} {-turn:.1f}"/>'
    )
    inside = f"<title>{text(title)}</title>" if title else ""
    return (
        f'<rect class="pairs {state}" x="{x + 0.75:.2f}" y="{y + 0.75:.2f}" '
        f'width="{width - 1.5:.2f}" height="{height - 1.5:.2f}">{inside}</rect>'
        + ("" if state == "even" else arrow)
    )


def _swatch(kind: str) -> str:
    if kind == "band":
        return '<span class="swatch band"></span>'
    if kind in ("up", "down", "maybe-up", "maybe-down", "even"):
        mark = pair_cell((0, 0, 16, 16), kind, "")
        return f'<svg class="key" viewBox="0 0 16 16" aria-hidden="true">{mark}</svg>'
    return f'<svg class="key" viewBox="0 0 16 16" aria-hidden="true">{marker(8, 8, kind, "")}</svg>'


def row_name(name: str, y: float) -> str:
    """A row's name left of the drawing; a long one is condensed, a very long one cut."""
    shown = name if len(name) <= _CUT else name[: _CUT - 1] + "…"
    fit = f' textLength="{LABEL - 14:.0f}" lengthAdjust="spacingAndGlyphs"'
    return (
        f'<text class="name" x="{LABEL - 10}" y="{y:.1f}" text-anchor="end"'
        f"{fit if len(shown) > _FITS else ''}>{text(shown)}<title>{text(name)}</title></text>"
    )
