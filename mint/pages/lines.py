"""Charts over training steps or turns: lines, and stacked bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from mint.pages import svg
from mint.pages.csv_data import csv_link
from mint.pages.html import missing, number
from mint.pages.marks import legend
from mint.pages.svg import Axis, Scale

HEIGHT = 230.0
MAX_POINTS = 240
_FILLED = 0.78
"""Part of a step that its bar takes."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line: a value a step, None where there is none."""

    name: str
    values: tuple[float | None, ...]
    style: str = "c0"
    """CSS class of colour and dash pattern."""


def line_chart(
    steps: Sequence[int],
    series: Sequence[Series],
    axis: Axis,
    description: str,
    height: float = HEIGHT,
    along: str = "training step",
) -> str:
    """Lines over training steps, or what else `along` says, with a point for every step that can
    be hovered.

    `description` is the text alternative without numbers; those are added.
    """
    saved = _saved(steps, series, description, along)
    steps, series = _thin(steps, series)
    known = [v for s in series for v in s.values if v is not None]
    if not known:
        return missing("No values were logged.")
    frame = _Frame(axis, axis.ticks(known), (steps[0], steps[-1]), height, along)
    parts = [frame.axes(steps), *(_line(frame, steps, one) for one in series)]
    told = (_describe(steps, s, axis.digits, frame.step) for s in series)
    summary = " ".join([description, *told])
    keys = legend([(f"line {s.style}", s.name) for s in series]) if len(series) > 1 else ""
    return keys + svg.drawing(parts, height, summary) + saved


def stacked_bars(
    steps: Sequence[int], series: Sequence[Series], axis: Axis, description: str
) -> str:
    """One bar a step, made of the seconds of all series (None counts as nothing)."""
    saved = _saved(steps, series, description)
    steps, series = _thin(steps, series)
    totals = [sum(s.values[i] or 0.0 for s in series) for i in range(len(steps))]
    ticks = svg.nice_ticks(0.0, max(totals) or 1.0)
    frame = _Frame(axis, ticks, (steps[0] - 0.5, steps[-1] + 0.5), HEIGHT)
    gaps = [frame.x(b) - frame.x(a) for a, b in pairwise(steps)] or [
        svg.WIDTH - svg.RIGHT - frame.x.start
    ]
    width = max(1.0, _FILLED * gaps[0])
    parts = [frame.axes(steps)]
    for i, step in enumerate(steps):
        base = 0.0
        for one in series:
            value = one.values[i] or 0.0
            if value <= 0:
                continue
            top, bottom = frame.y(base + value), frame.y(base)
            shape = (
                f"M{frame.x(step) - width / 2:.1f} {bottom:.2f}V{top:.2f}h{width:.1f}V{bottom:.2f}Z"
            )
            title = f"step {step}, {one.name}: {value:.1f} of {totals[i]:.1f} s"
            parts.append(svg.path(f"fill {one.style}", shape, title))
            base += value
    means = ", ".join(f"{s.name} {_mean(s.values):.1f}" for s in series)
    keys = legend([(f"fill {s.style}", s.name) for s in series])
    return keys + svg.drawing(parts, HEIGHT, f"{description} Mean seconds a step: {means}.") + saved


def _saved(
    steps: Sequence[int], series: Sequence[Series], description: str, along: str = "training step"
) -> str:
    """All values, also those that are too many to be drawn."""
    rows = zip(steps, *(one.values for one in series), strict=True)
    return csv_link(description, [along, *(one.name for one in series)], rows)


class _Frame:
    """Scales and axes of a chart over steps."""

    def __init__(
        self,
        axis: Axis,
        ticks: Sequence[float],
        ends: tuple[float, float],
        height: float,
        along: str = "training step",
    ) -> None:
        self.axis, self.ticks, self.along = axis, ticks, along
        self.step = along.split()[-1]
        self.bottom = height - svg.BOTTOM
        self.x = Scale(*ends, svg.left_of(svg.tick_labels(ticks)), svg.WIDTH - svg.RIGHT)
        self.y = Scale(ticks[0], ticks[-1], self.bottom, svg.TOP)

    def axes(self, steps: Sequence[int]) -> str:
        """Grid, base line, steps and titles."""
        left, right, bottom = self.x.start, self.x.end, self.bottom
        whole = [t for t in svg.nice_ticks(steps[0], steps[-1], 5) if t == int(t)]
        shown = [t for t in whole if steps[0] <= t <= steps[-1]] or [float(steps[0])]
        marks = "".join(
            svg.line("mark", self.x(t), bottom, self.x(t), bottom + 4)
            + svg.words("tick", self.x(t), bottom + 16, f"{t:.0f}", "middle")
            for t in shown
        )
        return (
            svg.vertical_axis(self.y, self.ticks, self.axis.title, right)
            + svg.line("base", left, bottom, right, bottom)
            + self._mark()
            + marks
            + svg.axis_title((left + right) / 2, bottom, self.along)
        )

    def _mark(self) -> str:
        """The reference line; "" without one."""
        if self.axis.mark is None:
            return ""
        y = self.y(self.axis.mark)
        return svg.line("zero", self.x.start, y, self.x.end, y) + svg.words(
            "note", self.x.end, y - 4, self.axis.mark_label, "end"
        )


def _line(frame: _Frame, steps: Sequence[int], one: Series) -> str:
    shape, points, pen = [], [], "M"
    radius = 2.6 if len(steps) <= 60 else 1.4
    for step, value in zip(steps, one.values, strict=True):
        if value is None:
            pen = "M"
            continue
        x, y = frame.x(step), frame.y(value)
        shape.append(f"{pen}{x:.1f} {y:.1f}")
        title = f"{frame.step} {step}, {one.name}: {number(value, frame.axis.digits + 1)}"
        points.append(svg.circle(f"point {one.style}", x, y, radius, title))
        pen = "L"
    return f'<path class="line {one.style}" d="{"".join(shape)}"/>{"".join(points)}'


def _thin(steps: Sequence[int], series: Sequence[Series]) -> tuple[Sequence[int], list[Series]]:
    """At most `MAX_POINTS` evenly spaced steps, the last one always among them."""
    if len(steps) <= MAX_POINTS:
        return steps, list(series)
    kept = sorted({round(i * (len(steps) - 1) / (MAX_POINTS - 1)) for i in range(MAX_POINTS)})
    return [steps[i] for i in kept], [
        Series(name=s.name, values=tuple(s.values[i] for i in kept), style=s.style) for s in series
    ]


def _describe(steps: Sequence[int], one: Series, digits: int, step: str) -> str:
    known = [(v, s) for s, v in zip(steps, one.values, strict=True) if v is not None]
    if not known:
        return f"{one.name}: no values."
    values = [v for v, _ in known]
    start, end, least, most = (
        number(v, digits) for v in (values[0], values[-1], min(values), max(values))
    )
    return (
        f"{one.name}: {start} at {step} {known[0][1]}, {end} at {step} {known[-1][1]}, "
        f"lowest {least}, highest {most}."
    )


def _mean(values: Sequence[float | None]) -> float:
    known = [v for v in values if v is not None]
    return fmean(known) if known else 0.0
