"""Marks, their legends, and names of rows.

Shape and colour both say what a mark stands for, so that neither is needed alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from mint.pages import svg
from mint.pages.html import text
from mint.pages.svg import Span

LABEL = 172.0
"""Where rows begin, right of their names."""
ROW = 25.0
"""Height of a row."""
_FITS, _CUT = 23, 34
_STATES = ("up", "down", "maybe-up", "maybe-down", "even")
_BOXES = ("band", "before", "after")


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Kind of mark and its meaning.

    A kind is that of a `marker` or of a `pair_cell`, "band", "before" or "after" for an area, or
    the CSS classes of a line or a filled shape such as "line c0".
    """
    items = "".join(f"<li>{_swatch(kind)}{text(name)}</li>" for kind, name in entries)
    return f'<ul class="keys">{items}</ul>'


def _swatch(kind: str) -> str:
    if kind in _BOXES:
        return f'<span class="swatch {kind}"></span>'
    if kind.startswith(("line ", "fill ")):
        shape = "M1 5H25" if kind.startswith("line") else "M1 1H25V9H1Z"
        drawn = f'<path class="{kind}" d="{shape}"/>'
        return f'<svg viewBox="0 0 26 10" aria-hidden="true">{drawn}</svg>'
    drawn = pair_cell((0, 0, 16, 16), kind, "") if kind in _STATES else marker(8, 8, kind, "")
    return f'<svg class="key" viewBox="0 0 16 16" aria-hidden="true">{drawn}</svg>'


def marker(x: float, y: float, kind: str, title: str) -> str:
    """A mark in the form of its kind: people, trained, other, published; else a circle."""
    shapes = {
        "people": f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6Z",
        "trained": f"M{x - 5:.1f} {y - 5:.1f}h10v10h-10Z",
        "other": f"M{x:.1f} {y - 6:.1f}l6 11h-12Z",
        "published": f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10",
    }
    if kind in shapes:
        return svg.path(f"mk {kind}", shapes[kind], title)
    return svg.circle(f"mk {kind}", x, y, 5, title)


def whisker(kind: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    """An interval between two points."""
    return svg.line(f"whisker {kind}", *start, *end)


def known(interval: Span) -> tuple[float, float] | None:
    """Both ends, or None unless both are known."""
    low, high = interval
    return None if low is None or high is None else (low, high)


def pair_cell(box: tuple[float, float, float, float], state: str, title: str) -> str:
    """A cell of a comparison, filled or framed, with an arrow up or down.

    `box` holds left, top, width and height; `state` is one of up, down, maybe-up, maybe-down, even.
    """
    x, y, width, height = box
    middle_x, middle_y, arm = x + width / 2, y + height / 2, min(width, height) * 0.22
    turn = -arm if state.endswith("up") else arm
    arrow = (
        f'<path class="arrow" d="M{middle_x - arm:.1f} {middle_y - turn / 2:.1f}'
        f'l{arm:.1f} {turn:.1f}l{arm:.1f} {-turn:.1f}"/>'
    )
    return cell(f"pairs {state}", box, title) + ("" if state == "even" else arrow)


def cell(
    kind: str, box: tuple[float, float, float, float], title: str, opacity: float = 1.0
) -> str:
    """A rectangle with a little room around it; `box` holds left, top, width and height."""
    x, y, width, height = box
    shade = "" if opacity == 1.0 else f' fill-opacity="{opacity:.3f}"'
    inside = f"<title>{text(title)}</title>" if title else ""
    return (
        f'<rect class="{kind}" x="{x + 0.75:.2f}" y="{y + 0.75:.2f}" width="{width - 1.5:.2f}" '
        f'height="{height - 1.5:.2f}"{shade}>{inside}</rect>'
    )


def row_name(name: str, y: float) -> str:
    """A row's name left of the drawing; a long one is condensed, a very long one cut."""
    shown = name if len(name) <= _CUT else name[: _CUT - 1] + "…"
    fit = f' textLength="{LABEL - 14:.0f}" lengthAdjust="spacingAndGlyphs"'
    return (
        f'<text class="name" x="{LABEL - 10}" y="{y:.1f}" text-anchor="end"'
        f"{fit if len(shown) > _FITS else ''}>{text(shown)}<title>{text(name)}</title></text>"
    )
