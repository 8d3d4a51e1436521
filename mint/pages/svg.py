"""Charts as inline SVG: axes, units, labels, hover titles and a text alternative; no script.

Drawn 440 units wide so that text keeps a readable size on a phone, where a chart fills the width.
Colours are CSS classes, so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mint.pages.html import label, number, text

WIDTH = 440.0
RIGHT, TOP, BOTTOM = 14.0, 26.0, 36.0
MAX_POINTS = 240


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line: a value a step, None where there is none."""

    name: str
    values: tuple[float | None, ...]
    style: str = "c0"
    """CSS class of colour and dash pattern."""


@dataclass(frozen=True, kw_only=True)
class Axes:
    """What a line chart shows."""

    description: str
    """Text alternative: what is drawn, without numbers; those are added."""
    unit: str
    """Name and unit of the vertical axis."""
    digits: int = 2
    low: float | None = None
    """Fixed lower end of the vertical axis; from the data when None."""
    high: float | None = None
    height: float = 230.0


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


def line_chart(steps: Sequence[int], series: Sequence[Series], axes: Axes) -> str:
    """Lines over training steps with a point for every step that can be hovered."""
    steps, series = _thin(steps, series)
    known = [v for s in series for v in s.values if v is not None]
    if not known:
        return '<p class="missing">No values were logged.</p>'
    low = min(known) if axes.low is None else axes.low
    high = max(known) if axes.high is None else axes.high
    ticks = nice_ticks(low, high)
    frame = _Frame(steps[0], steps[-1], ticks, axes.height)
    parts = [_grid(frame, axes), _step_axis(frame, steps)]
    parts += [_line(frame, steps, one, axes.digits) for one in series]
    summary = f"{axes.description} " + " ".join(_describe(steps, s, axes) for s in series)
    legend = _legend(series) if len(series) > 1 else ""
    return legend + _svg("".join(parts), axes.height, summary)


def bar_pairs(
    names: Sequence[str],
    before: Sequence[float | None],
    after: Sequence[float | None],
    unit: str,
) -> str:
    """Two horizontal bars a name, shares in [0, 1] shown as percent; `unit` says of what."""
    left, row = 146.0, 30.0
    width, height = WIDTH - left - 32.0, row * len(names) + BOTTOM
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + width * share
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - BOTTOM:.1f}"/>'
            f'<text class="tick" x="{x:.1f}" y="{height - 18:.1f}" text-anchor="middle">'
            f"{share:.0%}</text>"
        )
    for i, name in enumerate(names):
        y = row * i
        parts.append(
            f'<text class="name" x="{left - 8}" y="{y + 18:.1f}" text-anchor="end">'
            f"{label(name)}</text>"
        )
        for offset, kind, value in ((4, "before", before[i]), (15, "after", after[i])):
            if value is not None:
                title = f"{label(name)}, {kind}: {value:.0%}"
                parts.append(_bar(left, y + offset, width * value, kind, title))
                parts.append(
                    f'<text class="value" x="{left + width * value + 4:.1f}" '
                    f'y="{y + offset + 8.5:.1f}">{100 * value:.0f}</text>'
                )
    parts.append(
        f'<text class="axis" x="{left + width / 2}" y="{height - 3:.1f}" text-anchor="middle">'
        f"{text(unit)}</text>"
    )
    numbers = "; ".join(
        f"{label(name)} {_percent(b)} before, {_percent(a)} after"
        for name, b, a in zip(names, before, after, strict=True)
    )
    return _svg("".join(parts), height, f"{unit.capitalize()}: {numbers}.")


def stacked_bars(steps: Sequence[int], series: Sequence[Series], axes: Axes) -> str:
    """One bar a step, made of the values of all series (None counts as nothing)."""
    steps, series = _thin(steps, series)
    totals = [sum(s.values[i] or 0.0 for s in series) for i in range(len(steps))]
    ticks = nice_ticks(0.0, max(totals) or 1.0)
    frame = _Frame(steps[0] - 0.5, steps[-1] + 0.5, ticks, axes.height)
    width = max(1.0, 0.78 * abs(frame.x(steps[0] + 1) - frame.x(steps[0])))
    if len(steps) > 1:
        width = max(1.0, 0.78 * (frame.x(steps[1]) - frame.x(steps[0])))
    parts = [_grid(frame, axes), _step_axis(frame, steps)]
    for i, step in enumerate(steps):
        base = 0.0
        for one in series:
            value = one.values[i] or 0.0
            if value <= 0:
                continue
            top, bottom = frame.y(base + value), frame.y(base)
            x = frame.x(step) - width / 2
            parts.append(
                f'<path class="fill {one.style}" d="M{x:.1f} {bottom:.2f}V{top:.2f}'
                f'h{width:.1f}V{bottom:.2f}Z"><title>step {step}, {text(one.name)}: '
                f"{value:.1f} of {totals[i]:.1f} s</title></path>"
            )
            base += value
    means = ", ".join(f"{s.name} {_mean(s.values):.1f}" for s in series)
    return _legend(series, filled=True) + _svg(
        "".join(parts), axes.height, f"{axes.description} Mean seconds a step: {means}."
    )


def interval_bar(value: float, low: float, high: float, reach: float) -> str:
    """A difference with its interval on a line from -reach to reach, zero in the middle."""
    width, height, middle = 150.0, 22.0, 75.0

    def x(v: float) -> float:
        return middle + max(-1.0, min(1.0, v / reach)) * (middle - 6)

    clear = "clear" if low > 0 or high < 0 else "unclear"
    said = f"{number(value, signed=True)}, interval {number(low)} to {number(high)}"
    return (
        f'<svg class="interval" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{text(said)}"><title>{text(said)}</title>'
        f'<line class="zero" x1="{middle}" x2="{middle}" y1="1" y2="21"/>'
        f'<line class="span {clear}" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="11" y2="11"/>'
        f'<circle class="dot {clear}" cx="{x(value):.1f}" cy="11" r="4"/></svg>'
    )


def _bar(x: float, y: float, length: float, kind: str, title: str) -> str:
    # A share of 0 keeps a hair of a bar, so that it can be seen and hovered.
    shape = f"M{x:.1f} {y:.1f}h{max(length, 0.8):.1f}v10H{x:.1f}Z"
    return f'<path class="bar {kind}" d="{shape}"><title>{title}</title></path>'


@dataclass(frozen=True)
class _Frame:
    """Maps data to drawing units."""

    first: float
    last: float
    ticks: Sequence[float]
    height: float

    @property
    def labels(self) -> list[str]:
        """The ticks with as many decimals as tell them apart."""
        step = self.ticks[1] - self.ticks[0]
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        digits += bool(round(step * 10**digits, 6) % 1)
        return [number(tick, digits) for tick in self.ticks]

    @property
    def left(self) -> float:
        """Where the drawing area begins, right of the longest label."""
        return 12.0 + 7.0 * max(3, *map(len, self.labels))

    def x(self, step: float) -> float:
        span = self.last - self.first
        share = (step - self.first) / span if span else 0.5
        return self.left + share * (WIDTH - self.left - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        share = (max(low, min(high, value)) - low) / (high - low)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)


def _grid(frame: _Frame, axes: Axes) -> str:
    right = WIDTH - RIGHT
    parts = [f'<text class="axis" x="0" y="11">{text(axes.unit)}</text>']
    for tick, shown in zip(frame.ticks, frame.labels, strict=True):
        y = frame.y(tick)
        parts.append(
            f'<line class="grid" x1="{frame.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{frame.left - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{shown}</text>"
        )
    return "".join(parts)


def _step_axis(frame: _Frame, steps: Sequence[int]) -> str:
    bottom, right = frame.height - BOTTOM, WIDTH - RIGHT
    ticks = [t for t in nice_ticks(steps[0], steps[-1], 5) if t == int(t)]
    ticks = [t for t in ticks if steps[0] <= t <= steps[-1]] or [float(steps[0])]
    marks = "".join(
        f'<line class="mark" x1="{frame.x(t):.1f}" x2="{frame.x(t):.1f}" y1="{bottom}" '
        f'y2="{bottom + 4}"/><text class="tick" x="{frame.x(t):.1f}" y="{bottom + 16:.1f}" '
        f'text-anchor="middle">{t:.0f}</text>'
        for t in ticks
    )
    return (
        f'<line class="base" x1="{frame.left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>{marks}'
        f'<text class="axis" x="{(frame.left + right) / 2}" y="{frame.height - 3}" '
        'text-anchor="middle">training step</text>'
    )


def _line(frame: _Frame, steps: Sequence[int], one: Series, digits: int) -> str:
    path, points, pen = [], [], "M"
    for step, value in zip(steps, one.values, strict=True):
        if value is None:
            pen = "M"
            continue
        x, y = frame.x(step), frame.y(value)
        path.append(f"{pen}{x:.1f} {y:.1f}")
        points.append(
            f'<circle class="point {one.style}" cx="{x:.1f}" cy="{y:.1f}" r="{_radius(steps)}">'
            f"<title>step {step}, {text(one.name)}: {number(value, digits + 1)}</title></circle>"
        )
        pen = "L"
    return f'<path class="line {one.style}" d="{"".join(path)}"/>{"".join(points)}'


def _radius(steps: Sequence[int]) -> float:
    return 2.6 if len(steps) <= 60 else 1.4


def _thin(steps: Sequence[int], series: Sequence[Series]) -> tuple[Sequence[int], Sequence[Series]]:
    """At most `MAX_POINTS` evenly spaced steps, the last one always among them."""
    if len(steps) <= MAX_POINTS:
        return steps, series
    kept = sorted({round(i * (len(steps) - 1) / (MAX_POINTS - 1)) for i in range(MAX_POINTS)})
    return [steps[i] for i in kept], [
        Series(name=s.name, values=tuple(s.values[i] for i in kept), style=s.style) for s in series
    ]


def _describe(steps: Sequence[int], one: Series, axes: Axes) -> str:
    known = [(s, v) for s, v in zip(steps, one.values, strict=True) if v is not None]
    if not known:
        return f"{one.name}: no values."
    (first, start), (last, end) = known[0], known[-1]
    values = [v for _, v in known]
    show = [number(v, axes.digits) for v in (start, end, min(values), max(values))]
    return (
        f"{one.name}: {show[0]} at step {first}, {show[1]} at step {last}, "
        f"lowest {show[2]}, highest {show[3]}."
    )


def _legend(series: Sequence[Series], filled: bool = False) -> str:
    kind = "fill" if filled else "line"
    items = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true"><path class="{kind} {s.style}" '
        f'd="{"M1 1H25V9H1Z" if filled else "M1 5H25"}"/></svg>{text(s.name)}</li>'
        for s in series
    )
    return f'<ul class="keys">{items}</ul>'


def _svg(body: str, height: float, description: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-label="{text(description)}">{body}</svg>'
    )


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0%}"


def _mean(values: Sequence[float | None]) -> float:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else 0.0
