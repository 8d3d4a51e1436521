"""Trade-offs between goals: empathy, repetition and safety."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.people import People, Reference, read_people
from mint.evaluation.statistics.estimates import Estimate
from mint.pages.html import figure, grid, listed, section, text
from mint.pages.marks import legend
from mint.pages.scatter import Frame, Point, scatter
from mint.pages.svg import Axis, Span
from mint.reporting.comparison.contestants import Contestant, System
from mint.reporting.comparison.tables import estimates

_FRONT, _BEHIND, _PEOPLE = "trained", "prompted", "people"
_EMPATHY = Axis(title="empathy (judge, 1 to 5)")


class Score(NamedTuple):
    """A system's value in one goal; None where it is not known."""

    value: float | None
    interval: Span

    @classmethod
    def of(cls, one: Estimate) -> Score:
        """An estimate of the evaluation."""
        return cls(one.mean, (one.ci_low, one.ci_high))


class Goal(NamedTuple):
    """What empathy is weighed against."""

    name: str
    title: str
    axis: Axis
    better: int
    """1: higher is better, -1: lower is, 0: neither, so the front does not weigh it."""


_GOALS = (
    Goal(
        "lift",
        "repetition beyond chance (lift)",
        Axis(title="repetition beyond chance (lift)", mark=0.0, mark_label="chance"),
        0,
    ),
    Goal("self_stickiness", "self-stickiness", Axis(title="self-stickiness", low=0.0), -1),
    Goal("safety", "safety", Axis(title="safety probes passed (share)", low=0.0, high=1.0), 1),
)

Scores = Mapping[str, Score]
"""Name of a goal, or empathy -> score."""


def trade_off_section(
    protocols: Mapping[str, Sequence[System]],
    titles: Mapping[str, str],
    contestants: Sequence[Contestant],
    settings: EvaluationConfig,
    people: People | None = None,
) -> str:
    """Empathy against repetition and safety, for each protocol; "" when nothing was graded."""
    figures: list[str] = []
    for protocol, systems in protocols.items():
        scores = {s.name: _scores(s, contestants, settings) for s in systems}
        known = {name: own for name, own in scores.items() if own}
        beside = (people or read_people()).beside(systems[0].graders)
        figures += _figures(titles[protocol], known, beside)
    if not figures:
        return ""
    keys = legend(
        [
            (_PEOPLE, "people's replies under the same graders, other conversations"),
            (_FRONT, "on the front: no other is better in one and as good in all"),
            (_BEHIND, "some other system is at least as good in everything"),
        ]
    )
    lead = (
        "Up and to the better side is better. The front weighs all goals that are known: empathy, "
        "self-stickiness and, where all systems were probed, safety; repetition beyond chance is "
        "shown but not weighed, because people repeat beyond chance too."
    )
    return section("tradeoffs", "Trade-offs", keys + grid(figures), lead)


def pareto_front(scores: Mapping[str, Sequence[float]]) -> set[str]:
    """Names that no other dominates; every goal is to be as large as possible."""
    return {
        name
        for name, own in scores.items()
        if not any(
            all(a >= b for a, b in zip(other, own, strict=True))
            and any(a > b for a, b in zip(other, own, strict=True))
            for other in scores.values()
        )
    }


def _scores(
    system: System, contestants: Sequence[Contestant], settings: EvaluationConfig
) -> Scores:
    """{} when nothing was graded."""
    values = estimates(system, settings)
    if not values:
        return {}
    probes = next(c.probes for c in contestants if c.name == system.owner)
    safety = Score(None, (None, None))
    if probes is not None:
        total = probes["report"]["total"]
        safety = Score(total["rate"], (total["low"], total["high"]))
    names = ("empathy", "lift", "self_stickiness")
    return {**{name: Score.of(values[name]) for name in names}, "safety": safety}


def _figures(title: str, scores: Mapping[str, Scores], people: Reference) -> Iterator[str]:
    front = best_in_all(scores)
    names = listed((f"{text(name)}{_safety(own)}" for name, own in scores.items()), "numbers")
    for goal in _GOALS:
        points = [
            Point(
                name=name,
                tag=str(i),
                kind=_FRONT if name in front else _BEHIND,
                x=x.value,
                y=y.value,
                x_interval=x.interval,
                y_interval=y.interval,
            )
            for i, (name, own) in enumerate(scores.items(), start=1)
            if (x := own[goal.name]).value is not None and (y := own["empathy"]).value is not None
        ]
        if points:
            shown = [*points, *_people_point(people, goal)]
            yield _figure(f"{title}: empathy and {goal.title}", shown, goal, names)


def _people_point(people: Reference, goal: Goal) -> list[Point]:
    """Where people stand; [] where these graders have not graded them."""
    x, y = people.figure(goal.name), people.figure("empathy")
    if x is None or y is None or x.stale or y.stale:
        return []
    at, up = Score.of(x.estimate), Score.of(y.estimate)
    if at.value is None or up.value is None:
        return []
    return [
        Point(
            name="people",
            tag="P",
            kind=_PEOPLE,
            x=at.value,
            y=up.value,
            x_interval=at.interval,
            y_interval=up.interval,
        )
    ]


def best_in_all(scores: Mapping[str, Scores]) -> set[str]:
    """Systems that none beats in all goals; safety is one where all systems were probed."""
    probed = all(own["safety"].value is not None for own in scores.values())
    goals = [("empathy", 1), *((goal.name, goal.better) for goal in _GOALS if goal.better)]
    return pareto_front(
        {
            name: [
                float("-inf") if (value := own[goal].value) is None else better * value
                for goal, better in goals
                if goal != "safety" or probed
            ]
            for name, own in scores.items()
        }
    )


def _figure(title: str, points: Sequence[Point], goal: Goal, names: str) -> str:
    note = "Bars are intervals of each system alone, over conversations."
    if not goal.better:
        guide = ""
        note = f"Better is up; neither side is better. {note}"
    else:
        side = "left" if goal.better < 0 else "right"
        guide, said = _guide(points, goal)
        note = f"Better is up and to the {side}. {note} {said}"
    return figure(title, scatter(points, goal.axis, _EMPATHY, guide) + names, note)


def _guide(points: Sequence[Point], goal: Goal) -> tuple[str, str]:
    """The front of empathy and one goal as a line, and what to say of it."""
    best = pareto_front({p.tag: (goal.better * p.x, p.y) for p in points if p.kind != _PEOPLE})
    kept = sorted((p.x, p.y, p.name) for p in points if p.tag in best)
    if len(kept) == 1:
        return "", f"{text(kept[0][2])} is best in both."
    frame = Frame(points, goal.axis, _EMPATHY)
    line = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y, _ in kept)
    said = "The dashed line joins the systems that are best in these two goals."
    return f'<path class="guide" d="M{line}"/>', said


def _safety(own: Scores) -> str:
    safety = own["safety"].value
    return "" if safety is None else f" · safety {safety:.0%}"
