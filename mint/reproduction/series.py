"""The systems as points and rows of a plot."""

from __future__ import annotations

from collections.abc import Sequence

from mint.pages.html import number
from mint.reproduction.marks import legend
from mint.reproduction.measure import Measured
from mint.reproduction.plots import Dot, Point
from mint.reproduction.results import Results

_KINDS = (
    ("people", "people"),
    ("prompted", "prompted only"),
    ("trained", "trained"),
    ("other", "not in the paper"),
)


def numbered(results: Results) -> list[str]:
    """The systems as "1 Human", ..., as rows are named."""
    return [f"{n} {results.label(folder)}" for n, folder in enumerate(results.systems, 1)]


def named(results: Results) -> list[tuple[str, Measured]]:
    """Numbered name and measurements of every system."""
    return list(zip(numbered(results), results.systems.values(), strict=True))


def points_of(results: Results, x: str, y: str) -> list[Point]:
    """Every system as a point of two metrics with intervals."""
    return [
        Point(
            name=results.label(folder),
            tag=str(n),
            kind=results.published.method(one.name).kind,
            x=one.values[x],
            y=one.values[y],
            x_interval=one.intervals[x],
            y_interval=one.intervals[y],
        )
        for n, (folder, one) in enumerate(results.systems.items(), 1)
    ]


def dot(results: Results, one: Measured, metric: str, digits: int, kind: str = "") -> Dot:
    """A metric of a system with its interval, in the system's kind unless `kind` is given."""
    value, (low, high) = one.values[metric], one.intervals[metric]
    said = f"{results.published.label(one.name)}: {number(value, digits)}"
    if low is not None and high is not None:
        said += f", interval {number(low, digits)} to {number(high, digits)}"
    return Dot(
        value=value,
        kind=kind or results.published.method(one.name).kind,
        title=said,
        interval=one.intervals[metric],
    )


def kinds(results: Results, prefix: str = "") -> Sequence[tuple[str, str]]:
    """Kinds among the systems with their meaning, for a legend."""
    used = {results.published.method(one.name).kind for one in results.systems.values()}
    return [(kind, f"{prefix}{title}") for kind, title in _KINDS if kind in used]


def kinds_legend(results: Results) -> str:
    """The legend of the kinds."""
    return legend(kinds(results))


def signed(value: float) -> str:
    """Three decimals with a sign."""
    return number(value, 3, signed=True)
