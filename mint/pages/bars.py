"""Bars: shares before and after, and a difference with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from mint.pages import svg
from mint.pages.csv_data import csv_link
from mint.pages.html import number, spaced, text
from mint.pages.svg import Scale

_LEFT, _RIGHT, _ROW = 146.0, 32.0, 30.0
_QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


def bar_pairs(
    names: Sequence[str],
    before: Sequence[float | None],
    after: Sequence[float | None],
    unit: str,
) -> str:
    """Two horizontal bars a name, shares in [0, 1] shown as percent; `unit` says of what."""
    bottom = _ROW * len(names)
    x = Scale(0.0, 1.0, _LEFT, svg.WIDTH - _RIGHT)
    labels = [f"{share:.0%}" for share in _QUARTERS]
    parts = [svg.horizontal_axis(x, _QUARTERS, labels, unit, (0, bottom))]
    for i, name in enumerate(names):
        y = _ROW * i
        parts.append(svg.words("name", _LEFT - 8, y + 18, spaced(name), "end"))
        for top, kind, value in ((y + 4, "before", before[i]), (y + 15, "after", after[i])):
            if value is not None:
                parts.append(_bar(x, top, value, kind, spaced(name)))
    numbers = "; ".join(
        f"{spaced(name)} {_percent(b)} before, {_percent(a)} after"
        for name, b, a in zip(names, before, after, strict=True)
    )
    rows = zip(names, before, after, strict=True)
    return svg.drawing(parts, bottom + svg.BOTTOM, f"{unit.capitalize()}: {numbers}.") + csv_link(
        unit, ("name", "before", "after"), rows
    )


def interval_bar(value: float, low: float, high: float, reach: float) -> str:
    """A difference with its interval on a line from -reach to reach, zero in the middle."""
    x = Scale(-reach, reach, 6.0, 144.0)
    clear = "clear" if low > 0 or high < 0 else "unclear"
    said = f"{number(value, signed=True)}, interval {number(low)} to {number(high)}"
    return (
        f'<svg class="interval" viewBox="0 0 150 22" role="img" '
        f'aria-label="{text(said)}"><title>{text(said)}</title>'
        f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="1" y2="21"/>'
        f'<line class="span {clear}" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="11" y2="11"/>'
        f'<circle class="dot {clear}" cx="{x(value):.1f}" cy="11" r="4"/></svg>'
    )


def _bar(x: Scale, y: float, value: float, kind: str, name: str) -> str:
    # A share of 0 keeps a hair of a bar, so that it can be seen and hovered.
    length = max(x(value) - x.start, 0.8)
    shape = f"M{x.start:.1f} {y:.1f}h{length:.1f}v10H{x.start:.1f}Z"
    return svg.path(f"bar {kind}", shape, f"{name}, {kind}: {value:.0%}") + svg.words(
        "value", x(value) + 4, y + 8.5, f"{100 * value:.0f}"
    )


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0%}"
