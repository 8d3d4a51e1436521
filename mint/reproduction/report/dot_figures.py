"""Figures with a row of dots a system: which metric, and how to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mint.pages.html import figure, number, spaced
from mint.pages.marks import legend
from mint.pages.rows import Dot, Row, dot_rows
from mint.pages.svg import Axis
from mint.reproduction.measure import Measured
from mint.reproduction.report.figures import kinds, numbered
from mint.reproduction.results import Results


@dataclass(frozen=True, kw_only=True)
class DotFigure:
    """A metric of every system with its interval."""

    title: str
    metric: str
    axis: Axis
    """Its digits are those of the titles."""
    description: str
    """Text alternative without numbers."""
    explanation: str
    """May name {num_turns} and {equal_length}."""
    note: Callable[[Measured], str]
    """Short text at the right end of a row."""
    beside: str = ""
    """A second metric, drawn as crosses."""
    beside_name: str = ""
    own_name: str = ""
    """What the legend puts before the kinds of systems when there is a second metric."""
    against_chance: bool = False
    """Draw the range of the metric's permutation null."""

    def draw(self, results: Results) -> str:
        """The figure."""
        rows = [
            Row(
                name=name,
                dots=tuple(self._dots(results, one)),
                band=self._band(one),
                note=self.note(one),
            )
            for name, one in zip(numbered(results), results.systems.values(), strict=True)
        ]
        entries = []
        if self.against_chance:
            entries = [("band", "95% of shuffles"), *kinds(results)]
        elif self.beside:
            entries = [("published", self.beside_name), *kinds(results, self.own_name)]
        explanation = self.explanation.format(
            num_turns=results.num_turns, equal_length=f"{results.settings.equal_length:,}"
        )
        chart = dot_rows(rows, self.axis, self.description)
        return figure(self.title, (legend(entries) if entries else "") + chart, explanation)

    def _dots(self, results: Results, one: Measured) -> list[Dot]:
        kind = results.published.method(one.name).kind
        label, digits = results.published.label(one.name), self.axis.digits
        dots = [_dot(label, one, self.metric, digits, kind)]
        if self.beside:
            dots.insert(0, _dot(label, one, self.beside, digits, "published"))
        return dots

    def _band(self, one: Measured) -> tuple[float, float] | None:
        if not self.against_chance:
            return None
        return one.nulls[self.metric].low, one.nulls[self.metric].high


def _dot(label: str, one: Measured, metric: str, digits: int, kind: str) -> Dot:
    value, (low, high) = one.values[metric], one.intervals[metric]
    said = f"{label}: {number(value, digits)}"
    if low is not None and high is not None:
        said += f", interval {number(low, digits)} to {number(high, digits)}"
    return Dot(value=value, kind=kind, title=said, interval=(low, high))


def _signed(value: float) -> str:
    return number(value, 3, signed=True)


LIFT = DotFigure(
    title="Lift of every system",
    metric="lift",
    axis=Axis(title="lift, −1 to 1", mark=0.0, digits=3),
    description="Lift of each system, with its interval.",
    explanation=(
        "The chance of a tactic after a turn that used it, minus its chance after a turn that did "
        "not, averaged over the ten tactics. An interval across the dotted line is compatible "
        "with no dependence on the turn before."
    ),
    note=lambda one: _signed(one.values["lift"]),
)

VARIETY = DotFigure(
    title="How many different bundles of tactics",
    metric="set_entropy",
    axis=Axis(title="entropy of the tactic sets, bits"),
    description="Entropy of the distribution of tactic sets of each system.",
    explanation=(
        "A turn's tactics are one set; the number at the right is how many different sets "
        "occur in {num_turns} turns. Further right is more varied. Intervals: jackknife "
        "over conversations."
    ),
    note=lambda one: f"{one.values['distinct_sets']:.0f}",
)

LIKENESS = DotFigure(
    title="Does a system answer differently at all?",
    metric="self_jaccard",
    axis=Axis(title="Jaccard index of two turns' tactics, 0 to 1", low=0.0, high=1.0, digits=3),
    description="Likeness of adjacent turns and of unrelated turns.",
    explanation=(
        "Shared tactics of two turns: coloured marks for adjacent turns of the same conversation, "
        "crosses for turns that have nothing to do with each other. Where both lie far right and "
        "together, every reply is built alike, whoever it answers. At the right: the difference."
    ),
    note=lambda one: _signed(one.values["self_jaccard"] - one.values["cross_jaccard"]),
    beside="cross_jaccard",
    beside_name="turns of different conversations",
)

EFFECTIVE = DotFigure(
    title="How evenly tactics are used",
    metric="effective_tactics",
    axis=Axis(title="effective number of tactics, 1 to 10", high=10.0),
    description="Effective number of tactics of each system.",
    explanation=(
        "As many equally used tactics would give the same entropy. At the right: tactics that are "
        "always on, in more than nine of ten turns. A system can use many tactics evenly and still "
        "say the same bundle every time."
    ),
    note=lambda one: f"{len(one.always_on)} on",
)

WORDING_VARIETY = DotFigure(
    title="Variety of wording",
    metric="distinct_2_equal_length",
    axis=Axis(title="distinct word pairs / word pairs, 0 to 1", low=0.0, high=1.0, digits=3),
    description="Distinct-2 of each system, of all text and at equal length.",
    explanation=(
        "Distinct-2 falls with the amount of text, which punishes long replies (crosses). The "
        "coloured marks are what a random sample of {equal_length} word pairs of the system would "
        "have."
    ),
    note=lambda one: number(one.values["distinct_2_equal_length"], 2),
    beside="distinct_2",
    beside_name="all text",
    own_name="equal length, ",
)


def against_null(metric: str, title: str, whose: str) -> DotFigure:
    """Stickiness of one kind against what shuffled replies give."""
    shown = metric.replace("_", "-")
    return DotFigure(
        title=title,
        metric=metric,
        axis=Axis(title=f"{shown}, 0 to 1", low=0.0, high=1.0, digits=3),
        description=f"{shown} of each system.",
        explanation=(
            f"How often a tactic of {whose} is used again. In the grey range, replies are dealt to "
            "other conversations at the same place: there the turn before cannot matter. A dot "
            "inside it says only how many tactics the system uses; z counts standard deviations "
            "from it."
        ),
        note=lambda one: f"z {number(one.nulls[metric].z, 1)}",
        against_chance=True,
    )


STICKINESS = against_null(
    "stickiness", "Official stickiness, against chance", "the person's previous turn"
)
SELF_STICKINESS = against_null(
    "self_stickiness", "Repetition of its own turns, against chance", "its own previous reply"
)


def wording_repetition(metric: str, title: str) -> DotFigure:
    """A likeness of wording with the person's previous turn and with the own one."""
    own = f"self_{metric}"
    return DotFigure(
        title=f"{title}: against whom?",
        metric=own,
        axis=Axis(title=f"{title} with the turn before, 0 to 1", low=0.0, digits=3),
        description=f"{title} of each system with the person's and with its own previous turn.",
        explanation=(
            "Crosses, as published: likeness of a reply with what the person had said before. "
            "Coloured marks: likeness with the system's own previous reply, where its repetition "
            "shows."
        ),
        note=lambda one: number(one.values[own], 3),
        beside=metric,
        beside_name="person's previous turn",
        own_name="own turn, ",
    )


BLEU = wording_repetition("bleu_2", "BLEU-2")
BIGRAMS = wording_repetition("bigram_overlap", "Bigram overlap")


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
