"""Histograms of several systems in the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from mint.pages import svg
from mint.pages.csv_data import csv_link
from mint.pages.html import missing, number
from mint.pages.lines import HEIGHT, Series
from mint.pages.marks import legend
from mint.pages.svg import Axis, Scale


def histogram(series: Sequence[Series], axis: Axis, bins: int, description: str) -> str:
    """Outlines of the shares of each one's values in equal bins; `axis` has both ends fixed.

    A value outside the axis counts in the bin at its end, None nowhere.
    """
    low, high = axis.low, axis.high
    if low is None or high is None or not high > low:
        raise ValueError(f"a histogram needs an axis with both ends, got {low} to {high}")
    known = [
        (one, values) for one in series if (values := [v for v in one.values if v is not None])
    ]
    if not known:
        return missing("No reply has been rated.")
    shares = [_shares(values, low, high, bins) for _, values in known]
    ticks = svg.nice_ticks(0.0, max(map(max, shares)))
    bottom = HEIGHT - svg.BOTTOM
    x = Scale(low, high, svg.left_of(svg.tick_labels(ticks)), svg.WIDTH - 2 * svg.RIGHT)
    y = Scale(ticks[0], ticks[-1], bottom, svg.TOP)
    marks = [tick for tick in svg.nice_ticks(low, high) if low <= tick <= high]
    parts = [
        svg.vertical_axis(y, ticks, "share of replies", x.end),
        svg.horizontal_axis(
            x, marks, svg.tick_labels(marks), axis.title, (svg.TOP, bottom), marked=False
        ),
    ]
    told = []
    for (one, values), own in zip(known, shares, strict=True):
        mean = number(fmean(values), axis.digits)
        told.append(f"{one.name}: mean {mean} of {len(values)} replies")
        edges = [low + (high - low) * i / bins for i in range(bins + 1)]
        steps = "".join(
            f"V{y(share):.1f}H{x(end):.1f}" for share, end in zip(own, edges[1:], strict=True)
        )
        shape = f"M{x(low):.1f} {bottom:.1f}{steps}V{bottom:.1f}"
        parts.append(svg.path(f"line {one.style}", shape, told[-1]))
        at = x(fmean(values))
        parts.append(svg.path(f"line {one.style}", f"M{at:.1f} {svg.TOP}v8", told[-1]))
    keys = legend([(f"line {one.style}", one.name) for one, _ in known])
    starts = [low + (high - low) * i / bins for i in range(bins)]
    return (
        keys
        + svg.drawing(parts, HEIGHT, f"{description} {'; '.join(told)}.")
        + csv_link(
            description,
            [f"{axis.title} from", *(one.name for one, _ in known)],
            zip(starts, *shares, strict=True),
        )
    )


def _shares(values: Sequence[float], low: float, high: float, bins: int) -> list[float]:
    counts = [0] * bins
    for value in values:
        place = int((value - low) / (high - low) * bins)
        counts[max(0, min(bins - 1, place))] += 1
    return [count / len(values) for count in counts]
