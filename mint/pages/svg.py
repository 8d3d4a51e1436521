"""Charts as inline SVG: elements, scales, ticks and axes that all kinds of charts share.

Drawn 440 units wide so that text keeps a readable size on a phone, where a chart fills the width.
Colours are CSS classes, so that they follow light and dark. No script: marks carry a title for the
pointer, and every chart a text alternative.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mint.pages.html import number, text

WIDTH = 440.0
RIGHT, TOP, BOTTOM = 14.0, 26.0, 36.0
"""Room around the drawing area; below it stand tick labels and the axis' title."""

Span = tuple[float | None, float | None]
"""Both ends of an interval; None where they are not known."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What an axis shows."""

    title: str
    """Name and unit."""
    low: float | None = None
    """Fixed end; from the data when None."""
    high: float | None = None
    digits: int = 2
    mark: float | None = None
    """Where to draw a reference line."""
    mark_label: str = ""

    def ticks(self, values: Iterable[float | None]) -> list[float]:
        """Round ticks that cover the finite values, the mark and the fixed ends."""
        known = [v for v in (*values, self.mark) if v is not None and math.isfinite(v)]
        low = min(known, default=0.0) if self.low is None else self.low
        return nice_ticks(low, max(known, default=1.0) if self.high is None else self.high)


@dataclass(frozen=True)
class Scale:
    """Maps data between `low` and `high` to drawing units; what lies outside is clipped."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high == self.low:
            return (self.start + self.end) / 2
        share = (max(self.low, min(self.high, value)) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def nice_ticks(low: float, high: float, target: int = 4) -> list[float]:
    """Round numbers that cover [low, high], about `target` + 1 of them, ascending."""
    if not high > low:
        pad = abs(low) * 0.1 or 0.5
        low, high = low - pad, high + pad
    raw = (high - low) / target
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """The ticks with as many decimals as tell them apart."""
    step = ticks[1] - ticks[0]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += bool(round(step * 10**digits, 6) % 1)
    return [number(tick, digits) for tick in ticks]


def starts_at(ticks: Sequence[float]) -> str:
    """A note for an axis that leaves out 0, with the tick it starts at; "" for one that has it."""
    return f"from {tick_labels(ticks)[0]}" if ticks[0] > 0 else ""


def left_of(labels: Sequence[str]) -> float:
    """Where a drawing area begins, right of the longest label of its vertical axis."""
    return 12.0 + 7.0 * max(3, *map(len, labels))


def drawing(parts: Iterable[str], height: float, description: str) -> str:
    """The chart with its text alternative."""
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-label="{text(description)}">{"".join(parts)}</svg>'
    )


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """A straight line of a CSS class."""
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def words(kind: str, x: float, y: float, said: str, anchor: str = "start") -> str:
    """Text at a place; `anchor` is start, middle or end."""
    placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{placed}>{text(said)}</text>'


def path(kind: str, shape: str, title: str) -> str:
    """A shape that says its title to the pointer."""
    return f'<path class="{kind}" d="{shape}"><title>{text(title)}</title></path>'


def circle(kind: str, x: float, y: float, radius: float, title: str) -> str:
    """A dot that says its title to the pointer."""
    return (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
        f"<title>{text(title)}</title></circle>"
    )


def vertical_axis(y: Scale, ticks: Sequence[float], title: str, right: float) -> str:
    """Horizontal grid lines with their labels at the left, and the axis' title above."""
    labels = tick_labels(ticks)
    left = left_of(labels)
    parts = [words("axis", 0, 11, title)]
    for tick, shown in zip(ticks, labels, strict=True):
        parts.append(line("grid", left, y(tick), right, y(tick)))
        parts.append(words("tick", left - 6, y(tick) + 4, shown, "end"))
    if note := starts_at(ticks):
        low = y(ticks[0])
        zigzag = f"M{left:.1f} {low:.1f}l-4 -3l8 -3l-8 -3l8 -3l-4 -3"
        parts += [words("note", right, 11, note, "end"), path("cut", zigzag, note)]
    return "".join(parts)


def horizontal_axis(
    x: Scale,
    ticks: Sequence[float],
    labels: Sequence[str],
    title: str,
    ends: tuple[float, float],
    *,
    marked: bool = True,
) -> str:
    """Vertical grid lines between the two heights `ends`, with labels and the title below; it says
    where it leaves out 0 if `marked`."""
    top, bottom = ends
    parts = [
        line("grid", x(tick), top, x(tick), bottom)
        + words("tick", x(tick), bottom + 16, shown, "middle")
        for tick, shown in zip(ticks, labels, strict=True)
    ]
    if marked and (note := starts_at(ticks)):
        zigzag = f"M{x.start:.1f} {bottom:.1f}l3 -4l3 8l3 -8l3 8l3 -4"
        parts.append(path("cut", zigzag, note))
        title = f"{title} ({note})"
    return "".join(parts) + axis_title((x.start + x.end) / 2, bottom, title)


def axis_title(middle: float, bottom: float, title: str) -> str:
    """The title of a horizontal axis below its labels."""
    return words("axis", middle, bottom + 33, title, "middle")
