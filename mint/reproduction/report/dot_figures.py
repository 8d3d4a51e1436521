"""Figures with a row of dots a system: which metric, and how to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mint.pages import texts
from mint.pages.html import figure, number, spaced
from mint.pages.marks import legend
from mint.pages.rows import Dot, Row, dot_rows
from mint.pages.svg import Axis
from mint.reproduction.measure import Measured
from mint.reproduction.report.figures import kinds, numbered
from mint.reproduction.results import Results


@dataclass(frozen=True, kw_only=True)
class DotFigure:
    """A metric of every system with its interval, as figures.yaml explains."""

    title: str
    metric: str
    axis: Axis
    description: str
    explanation: str
    beside: str = ""
    """A second metric, drawn as crosses."""
    beside_name: str = ""
    own_name: str = ""
    """What the legend puts before the kinds of systems when there is a second metric."""
    against_chance: bool = False
    """Draw the range of the metric's permutation null."""


FIGURES = {
    name: DotFigure(**{**said, "axis": Axis(**said["axis"])})
    for name, said in texts.read("mint.reproduction.report", "figures.yaml").items()
}
_NOTES: Mapping[str, Callable[[Measured], str]] = {
    "lift": lambda one: _signed(one.values["lift"]),
    "variety": lambda one: f"{one.values['distinct_sets']:.0f}",
    "likeness": lambda one: _signed(one.values["self_jaccard"] - one.values["cross_jaccard"]),
    "effective": lambda one: f"{len(one.always_on)} on",
    "wording_variety": lambda one: number(one.values["distinct_2_equal_length"], 2),
    "stickiness": lambda one: f"z {number(one.nulls['stickiness'].z, 1)}",
    "self_stickiness": lambda one: f"z {number(one.nulls['self_stickiness'].z, 1)}",
    "bleu": lambda one: number(one.values["self_bleu_2"], 3),
    "bigrams": lambda one: number(one.values["self_bigram_overlap"], 3),
}
"""Short text at the right end of a row, by the name of the figure."""


def dots(results: Results, name: str) -> str:
    """A figure of figures.yaml."""
    shown, note = FIGURES[name], _NOTES[name]
    rows = [
        Row(
            name=label,
            dots=tuple(_dots(results, one, shown)),
            band=_band(one, shown),
            note=note(one),
        )
        for label, one in zip(numbered(results), results.systems.values(), strict=True)
    ]
    entries = []
    if shown.against_chance:
        entries = [("band", "95% of shuffles"), *kinds(results)]
    elif shown.beside:
        entries = [("published", shown.beside_name), *kinds(results, shown.own_name)]
    explanation = shown.explanation.format(
        num_turns=results.num_turns, equal_length=f"{results.settings.equal_length:,}"
    )
    chart = dot_rows(rows, shown.axis, shown.description)
    return figure(shown.title, (legend(entries) if entries else "") + chart, explanation)


def _dots(results: Results, one: Measured, shown: DotFigure) -> Iterator[Dot]:
    label = results.published.label(one.name)
    if shown.beside:
        yield _dot(label, one, shown.beside, shown.axis.digits, "published")
    kind = results.published.method(one.name).kind
    yield _dot(label, one, shown.metric, shown.axis.digits, kind)


def _band(one: Measured, shown: DotFigure) -> tuple[float, float] | None:
    null = one.nulls[shown.metric] if shown.against_chance else None
    return None if null is None else (null.low, null.high)


def _dot(label: str, one: Measured, metric: str, digits: int, kind: str) -> Dot:
    value, (low, high) = one.values[metric], one.intervals[metric]
    said = f"{label}: {number(value, digits)}"
    if low is not None and high is not None:
        said += f", interval {number(low, digits)} to {number(high, digits)}"
    return Dot(value=value, kind=kind, title=said, interval=(low, high))


def _signed(value: float) -> str:
    return number(value, 3, signed=True)


def previous_turns(results: Results) -> str:
    """How many pairs each tactic's share of the stickiness rests on."""
    rows = [
        Row(
            name=spaced(name),
            dots=(Dot(value=float(count), kind="people", title=f"{name}: {count}"),),
            note=str(count),
        )
        for name, count in results.previous_turns.items()
    ]
    chart = dot_rows(
        rows,
        Axis(title="person's turns before that have the tactic", low=0.0),
        f"Turns before with each tactic, of {results.num_pairs}.",
    )
    return figure(
        "What stickiness rests on",
        chart,
        f"Stickiness and lift give ten tactics equal weight, but of {results.num_pairs} turns "
        "before, some tactics occur in a handful only. Those few decide much of the variance.",
    )


def agreement(results: Results, metric: str, title: str, place: int) -> str:
    """Judge against experts; `place` is that of the metric among the published pair."""
    rows = []
    for one in results.agreement:
        value: float = getattr(one, metric)
        name, stated = spaced(one.dimension), results.published.agreement[one.dimension][place]
        seen = Dot(
            value=value,
            kind="people",
            title=f"{name}: {value:.2f}",
            interval=getattr(one, f"{metric}_interval"),
        )
        said = Dot(value=stated, kind="published", title=f"{name}, published: {stated:.2f}")
        rows.append(Row(name=name, dots=(seen, said), note=number(value, 2)))
    chart = dot_rows(
        rows,
        Axis(title=f"{title}, −1 to 1", high=1.0, mark=0.0),
        f"{title} of judge and experts on each dimension.",
    )
    return figure(
        title,
        legend([("people", "observed"), ("published", "published")]) + chart,
        f"{results.judge}, mean over the turns of a conversation, against the median expert of "
        f"{results.num_conversations} conversations between people.",
    )
