"""Scatter plots with intervals in both directions.

Systems are numbered, because names do not fit beside dots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mint.pages import svg
from mint.pages.csv_data import csv_link
from mint.pages.html import number
from mint.pages.marks import known, marker, whisker
from mint.pages.svg import Axis, Scale, Span

_TOP, _BOTTOM, _GAP = 30.0, 354.0, 16.0
_LETTER, _LINE = 9.5, 16.0
_REACHES = (14.0, 19.0, 25.0, 33.0, 42.0, 52.0, 64.0, 78.0)
"""How far from its dot a number may stand; beyond the second a thin line leads to it."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A system in a scatter plot."""

    name: str
    tag: str
    """Short text beside the dot, its number."""
    kind: str
    x: float
    y: float
    x_interval: Span = (None, None)
    y_interval: Span = (None, None)


def scatter(points: Sequence[Point], x_axis: Axis, y_axis: Axis, guide: str = "") -> str:
    """Dots with crossing intervals; `guide` is ready SVG in the coordinates of `Frame`."""
    frame = Frame(points, x_axis, y_axis)
    titles = [
        f"{p.tag} {p.name}: {number(p.x, x_axis.digits)}, {number(p.y, y_axis.digits)}"
        for p in points
    ]
    parts = [frame.axes(), guide]
    parts += [_cross(frame, point) for point in points]
    parts += [
        marker(frame.x(p.x), frame.y(p.y), p.kind, title)
        for p, title in zip(points, titles, strict=True)
    ]
    parts += _tags(frame, points)
    description = f"{y_axis.title} against {x_axis.title}. {'; '.join(titles)}"
    saved = ((p.tag, p.name, p.x, *p.x_interval, p.y, *p.y_interval) for p in points)
    head = ("number", "name", x_axis.title, "low", "high", y_axis.title, "low", "high")
    return svg.drawing(parts, _BOTTOM + svg.BOTTOM, description) + csv_link(
        f"{y_axis.title} against {x_axis.title}", head, saved
    )


class Frame:
    """Scales and axes of a scatter plot."""

    def __init__(self, points: Sequence[Point], x_axis: Axis, y_axis: Axis) -> None:
        self._x_axis, self._y_axis = x_axis, y_axis
        self._x_ticks = x_axis.ticks(v for p in points for v in (p.x, *p.x_interval))
        self._y_ticks = y_axis.ticks(v for p in points for v in (p.y, *p.y_interval))
        left = svg.left_of(svg.tick_labels(self._y_ticks))
        self.x = Scale(self._x_ticks[0], self._x_ticks[-1], left, svg.WIDTH - _GAP)
        """Drawing units across."""
        self.y = Scale(self._y_ticks[0], self._y_ticks[-1], _BOTTOM, _TOP)
        """Drawing units down."""

    def axes(self) -> str:
        """Grid, ticks, titles and reference line."""
        axis, labels = self._x_axis, svg.tick_labels(self._x_ticks)
        drawn = svg.vertical_axis(self.y, self._y_ticks, self._y_axis.title, self.x.end)
        drawn += svg.horizontal_axis(self.x, self._x_ticks, labels, axis.title, (_TOP, _BOTTOM))
        if axis.mark is not None:
            at = self.x(axis.mark)
            drawn += svg.line("zero", at, _TOP, at, _BOTTOM)
            drawn += svg.words("tick", at + 4, _BOTTOM - 6, axis.mark_label)
        return drawn


def _cross(frame: Frame, point: Point) -> str:
    x, y = frame.x(point.x), frame.y(point.y)
    across, up = known(point.x_interval), known(point.y_interval)
    drawn = ""
    if across is not None:
        drawn += whisker(point.kind, (frame.x(across[0]), y), (frame.x(across[1]), y))
    if up is not None:
        drawn += whisker(point.kind, (x, frame.y(up[0])), (x, frame.y(up[1])))
    return drawn


def _tags(frame: Frame, points: Sequence[Point]) -> list[str]:
    """Numbers beside their dots, where they cover neither dots nor each other."""
    dots = [(frame.x(p.x), frame.y(p.y)) for p in points]
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in dots]
    parts = []
    for point, (x, y) in zip(points, dots, strict=True):
        half = (_LETTER * len(point.tag) + 2) / 2
        spots = [
            (x + reach * math.cos(angle), y + reach * math.sin(angle), reach)
            for reach in _REACHES
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
        if reach > _REACHES[1]:
            parts.append(svg.line("leader", x, y, a, b))
        parts.append(svg.words("tag-number", a, b + 4.5, point.tag, "middle"))
    return parts


def _cost(box: Box, taken: Sequence[Box], frame: Frame) -> float:
    """Area that a label would cover, and what of it lies outside the drawing."""
    covered = sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )
    outside = max(0.0, frame.x.start - box[0]) + max(0.0, box[2] - svg.WIDTH)
    outside += max(0.0, _TOP - box[1]) + max(0.0, box[3] - _BOTTOM)
    return covered + 50 * outside
