"""How the ratings of the replies are spread, which a mean does not tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from mint.evaluation.records import EvaluatedReply
from mint.pages.histograms import histogram
from mint.pages.html import figure, grid, section, text
from mint.pages.lines import Series
from mint.pages.svg import Axis
from mint.reporting.data import ReportData

_BINS = 20
_STYLES = 5
_RATING = Axis(title="rating, 1 to 5", low=1.0, high=5.0)
_CHANCE = Axis(title="chance, 0 to 1", low=0.0, high=1.0)
_ON_RATING = ("manner",)
"""Parts of a rating on its own scale; the others are chances."""

Replies = Mapping[str, Sequence[EvaluatedReply]]


def ratings_section(data: ReportData) -> str:
    """Histograms before and after training; "" without ratings."""
    return histograms({"before": data.before_replies, "after": data.after_replies})


def histograms(systems: Replies) -> str:
    """One figure for the rating and each of its parts, all systems in the same axes; "" without
    ratings."""
    figures = list(_figures(systems))
    lead = (
        "Equal means can hide a few very low ratings, or all at one value. The short line at the "
        "top is the mean; what a veto holds down gathers at the left."
    )
    return section("ratings", "Spread of the ratings", grid(figures), lead) if figures else ""


def _figures(systems: Replies) -> Iterator[str]:
    replies = [reply for own in systems.values() for reply in own]
    if any(reply.empathy is not None for reply in replies):
        yield _figure(systems, "Histogram of empathy", lambda reply: reply.empathy, _RATING)
    if scores := [reply.judge_logit for reply in replies if reply.judge_logit is not None]:
        low, high = min(scores), max(scores)
        axis = Axis(title="raw score", low=low, high=high if high > low else low + 1.0)
        yield _figure(systems, "Histogram of scores", lambda reply: reply.judge_logit, axis)
    for name in dict.fromkeys(name for reply in replies for name in reply.parts):
        axis = _RATING if name in _ON_RATING else _CHANCE
        yield _figure(systems, f"Histogram of {name}", _part(name), axis)


def _part(name: str) -> Callable[[EvaluatedReply], float | None]:
    return lambda reply: reply.parts.get(name)


def _figure(
    systems: Replies, title: str, value: Callable[[EvaluatedReply], float | None], axis: Axis
) -> str:
    series = [
        Series(name=name, values=tuple(map(value, replies)), style=f"c{i % _STYLES}")
        for i, (name, replies) in enumerate(systems.items())
    ]
    counts = ", ".join(
        f"{one.name} {sum(v is not None for v in one.values):,}" for one in series if one.values
    )
    drawn = histogram(series, axis, _BINS, f"{title}.")
    return figure(title, drawn, text(f"Share of the rated replies in each bin; {counts} replies."))
