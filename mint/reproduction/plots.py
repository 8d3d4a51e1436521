"""Plots with intervals as inline SVG: a scatter plot, and rows of dots.

Drawn 440 units wide like the run report's charts, so that text stays readable on a phone. Systems
are numbered, because names do not fit beside dots; every mark carries a title for the pointer and
every plot a text alternative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mint.evaluation.statistics.bootstrap import UNKNOWN, Interval
from mint.pages.html import number, text
from mint.pages.svg import WIDTH
from mint.reproduction.marks import (
    LABEL,
    ROW,
    drawing,
    marker,
    row_name,
    share_of,
    tick_text,
    ticks_for,
)

_RIGHT = 52.0
_LETTER, _LINE = 9.5, 16.0

Scale = Callable[[float], float]


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


@dataclass(frozen=True, kw_only=True)
class Point:
    """A system in a scatter plot."""

    name: str
    tag: str
    """Short text beside the dot, its number."""
    kind: str
    x: float
    y: float
    x_interval: Interval = UNKNOWN
    y_interval: Interval = UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One value in a row."""

    value: float
    kind: str
    title: str
    interval: Interval = UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Row:
    """A named row of dots over an optional band."""

    name: str
    dots: tuple[Dot, ...]
    band: tuple[float, float] | None = None
    note: str = ""
    """Short text at the right end."""


def scatter(points: Sequence[Point], x_axis: Axis, y_axis: Axis, *, guide: str = "") -> str:
    """Dots with crossing intervals; `guide` is ready SVG drawn by `guide_line`'s coordinates."""
    frame = Frame(points, x_axis, y_axis)
    parts = [frame.axes(), guide]
    parts += [_cross(frame, point) for point in points]
    parts += [marker(frame.x(p.x), frame.y(p.y), p.kind, _point_title(p, frame)) for p in points]
    parts += _tags(frame, points)
    listed = "; ".join(_point_title(p, frame) for p in points)
    return drawing("".join(parts), frame.height, f"{y_axis.title} against {x_axis.title}. {listed}")


class Frame:
    """Maps the values of a scatter plot to drawing units and draws its axes."""

    height = 400.0
    top, bottom = 30.0, 354.0
    _gap = 16.0

    def __init__(self, points: Sequence[Point], x_axis: Axis, y_axis: Axis) -> None:
        self.x_axis, self.y_axis = x_axis, y_axis
        x_ends = [v for p in points for v in (p.x, *p.x_interval) if v is not None]
        y_ends = [v for p in points for v in (p.y, *p.y_interval) if v is not None]
        self.x_ticks = ticks_for(x_ends, x_axis.low, x_axis.high, x_axis.mark)
        self.y_ticks = ticks_for(y_ends, y_axis.low, y_axis.high, y_axis.mark)

    def x(self, value: float) -> float:
        """Across, clipped to the drawing area."""
        return self.left + share_of(value, self.x_ticks) * (WIDTH - self._gap - self.left)

    def y(self, value: float) -> float:
        """Down."""
        return self.bottom - share_of(value, self.y_ticks) * (self.bottom - self.top)

    @property
    def left(self) -> float:
        """Where the drawing area begins."""
        return 46.0

    def axes(self) -> str:
        """Grid, ticks, titles and reference lines."""
        bottom, right = self.bottom, WIDTH - self._gap
        parts = [f'<text class="axis" x="0" y="12">{text(self.y_axis.title)}</text>']
        for tick in self.y_ticks:
            y = self.y(tick)
            parts.append(
                f'<line class="grid" x1="{self.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="tick" x="{self.left - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{tick_text(tick, self.y_ticks)}</text>"
            )
        for tick in self.x_ticks:
            x = self.x(tick)
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top}" y2="{bottom}"/>'
                f'<text class="tick" x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">'
                f"{tick_text(tick, self.x_ticks)}</text>"
            )
        parts.append(
            f'<text class="axis" x="{(self.left + right) / 2:.1f}" y="{self.height - 8}" '
            f'text-anchor="middle">{text(self.x_axis.title)}</text>'
        )
        if self.x_axis.mark is not None:
            x = self.x(self.x_axis.mark)
            parts.append(
                f'<line class="zero" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top}" y2="{bottom}"/>'
                f'<text class="tick" x="{x + 4:.1f}" y="{bottom - 6}">'
                f"{text(self.x_axis.mark_label)}</text>"
            )
        return "".join(parts)


def dot_rows(rows: Sequence[Row], axis: Axis, description: str) -> str:
    """A row a system: band (what chance gives), then dots with their intervals."""
    ends = [e for r in rows for d in r.dots for e in (d.value, *d.interval) if e is not None]
    ends += [e for r in rows if r.band is not None for e in r.band]
    ticks = ticks_for(ends, axis.low, axis.high, axis.mark)
    right = WIDTH - _RIGHT
    bottom = ROW * len(rows) + 4

    def x(value: float) -> float:
        return LABEL + share_of(value, ticks) * (right - LABEL)

    parts = [_row_axis(ticks, axis, bottom, x)]
    for i, row in enumerate(rows):
        middle = ROW * i + ROW / 2 + 2
        parts.append(row_name(row.name, middle + 4))
        if row.band is not None:
            low, high = map(x, row.band)
            parts.append(
                f'<rect class="band" x="{low:.1f}" y="{middle - 8:.1f}" '
                f'width="{max(high - low, 2):.1f}" height="16"/>'
            )
        for dot in row.dots:
            parts.append(_span(dot, middle, x))
            parts.append(marker(x(dot.value), middle, dot.kind, dot.title))
        parts.append(
            f'<text class="value" x="{WIDTH - 2}" y="{middle + 4:.1f}" text-anchor="end">'
            f"{text(row.note)}</text>"
        )
    told = "; ".join(dot.title for row in rows for dot in row.dots)
    return drawing("".join(parts), bottom + 40, f"{description} {told}")


def _row_axis(ticks: Sequence[float], axis: Axis, bottom: float, x: Scale) -> str:
    parts = []
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="0" y2="{bottom}"/>'
            f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 15:.1f}" text-anchor="middle">'
            f"{tick_text(tick, ticks)}</text>"
        )
    if axis.mark is not None:
        at = x(axis.mark)
        parts.append(f'<line class="zero" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{bottom}"/>')
    middle = (LABEL + WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle:.1f}" y="{bottom + 33:.1f}" text-anchor="middle">'
        f"{text(axis.title)}</text>"
    )
    return "".join(parts)


def _span(dot: Dot, y: float, x: Scale) -> str:
    low, high = dot.interval
    if low is None or high is None:
        return ""
    return (
        f'<line class="whisker {dot.kind}" x1="{x(low):.1f}" x2="{x(high):.1f}" '
        f'y1="{y:.1f}" y2="{y:.1f}"/>'
    )


def _cross(frame: Frame, point: Point) -> str:
    parts, (x, y) = [], (frame.x(point.x), frame.y(point.y))
    if point.x_interval.low is not None and point.x_interval.high is not None:
        low, high = frame.x(point.x_interval.low), frame.x(point.x_interval.high)
        parts.append(
            f'<line class="whisker {point.kind}" x1="{low:.1f}" x2="{high:.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    if point.y_interval.low is not None and point.y_interval.high is not None:
        low, high = frame.y(point.y_interval.low), frame.y(point.y_interval.high)
        parts.append(
            f'<line class="whisker {point.kind}" x1="{x:.1f}" x2="{x:.1f}" '
            f'y1="{low:.1f}" y2="{high:.1f}"/>'
        )
    return "".join(parts)


def _point_title(point: Point, frame: Frame) -> str:
    return (
        f"{point.tag} {point.name}: {number(point.x, frame.x_axis.digits)}, "
        f"{number(point.y, frame.y_axis.digits)}"
    )


def _tags(frame: Frame, points: Sequence[Point]) -> list[str]:
    """Numbers beside their dots, where they cover neither dots nor each other."""
    dots = [(frame.x(p.x), frame.y(p.y)) for p in points]
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in dots]
    parts = []
    for point, (x, y) in zip(points, dots, strict=True):
        half = (_LETTER * len(point.tag) + 2) / 2
        spots = [
            (x + reach * math.cos(angle), y + reach * math.sin(angle), reach)
            for reach in (14.0, 19.0, 25.0, 33.0, 42.0, 52.0, 64.0, 78.0)
            for angle in (i * math.pi / 8 - math.pi / 4 for i in range(16))
        ]
        boxes = [(a - half, b - _LINE / 2, a + half, b + _LINE / 2) for a, b, _ in spots]
        costs = [
            _cost(box, taken, frame) + reach / 100
            for box, (_, _, reach) in zip(boxes, spots, strict=True)
        ]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        a, b, reach = spots[best]
        if reach > 19:
            parts.append(
                f'<line class="leader" x1="{x:.1f}" y1="{y:.1f}" x2="{a:.1f}" y2="{b:.1f}"/>'
            )
        parts.append(
            f'<text class="tag-number" x="{a:.1f}" y="{b + 4.5:.1f}" text-anchor="middle">'
            f"{text(point.tag)}</text>"
        )
    return parts


def _cost(
    box: tuple[float, float, float, float],
    taken: Sequence[tuple[float, float, float, float]],
    frame: Frame,
) -> float:
    """Area that a label would cover, and what of it lies outside the drawing."""
    covered = sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )
    outside = max(0.0, frame.left - box[0]) + max(0.0, box[2] - WIDTH)
    outside += max(0.0, frame.top - box[1]) + max(0.0, box[3] - frame.bottom)
    return covered + 50 * outside
