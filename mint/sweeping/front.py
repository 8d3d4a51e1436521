"""The Pareto front of a sweep's settings: empathy, repetition near people's, safety."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mint.evaluation.people import People
from mint.pages.html import figure, grid, listed, number, section, text
from mint.pages.marks import legend
from mint.pages.scatter import Point, scatter
from mint.pages.svg import Axis
from mint.reporting.comparison.tables import ALL_MEASURES
from mint.reporting.comparison.tradeoffs import pareto_front
from mint.sweeping.outcome import wanted_lift
from mint.sweeping.results import SAFETY, Results, Setting, Value

_FRONT, _BEHIND, _START, _PEOPLE = "trained", "prompted", "other", "people"
_EMPATHY = Axis(title="empathy (judge, 1 to 5)")
_EFFECTS = ("empathy", "lift", "self_stickiness", "composite")


def front_of(settings: Sequence[Setting], lift: float) -> set[str]:
    """Names of the settings that no other one beats: at least as good in every goal and better in
    one. Goals: empathy, a lift near `lift`, and safety where every setting was probed."""
    known = [one for one in settings if _mean(one.values, "empathy") is not None]
    probed = all(_mean(one.values, SAFETY) is not None for one in known)
    scores = {}
    for one in known:
        own = _mean(one.values, "lift")
        near = float("-inf") if own is None else -abs(own - lift)
        goals = [_mean(one.values, "empathy"), near]
        scores[one.name] = [*goals, *([_mean(one.values, SAFETY)] if probed else [])]
    return pareto_front({name: [float(v or 0.0) for v in own] for name, own in scores.items()})


def front_section(results: Results, people: People | None = None) -> str:
    """Empathy against repetition and against safety; "" when no setting was evaluated."""
    lift, whose = wanted_lift(results.graders, people)
    best = front_of(results.settings, lift)
    if not best:
        return ""
    repetition = Axis(
        title="repetition beyond chance (lift)", mark=lift, mark_label=f"{whose}: {lift:.3f}"
    )
    own = Axis(title="self-stickiness (not weighed)", low=0.0)
    figures = [
        _figure(results, "lift", repetition, best),
        _figure(results, "self_stickiness", own, best),
    ]
    if any(_mean(one.values, SAFETY) is not None for one in results.settings):
        safety = Axis(title="safety probes passed (share)", low=0.0, high=1.0)
        figures.append(_figure(results, SAFETY, safety, best))
    keys = legend(
        [
            (_FRONT, "on the front: no other setting is better in one goal and as good in all"),
            (_BEHIND, "some other setting is at least as good in every goal"),
            (_START, "before training"),
        ]
    )
    goal = (
        f"as near as can be to people's ({lift:.3f}), who repeat beyond chance too"
        if whose == "people"
        else "as small as can be either way (what people get under these graders is not known)"
    )
    lead = (
        "The front weighs empathy (higher is better), repetition beyond chance "
        f"({goal}), and safety where every setting was probed. Settings whose intervals overlap "
        "may change places in another run."
    )
    return section("front", "Pareto front", keys + grid(figures), lead)


def effects_section(results: Results) -> str:
    """Measures over the swept key, where exactly one is swept over numbers; "" otherwise."""
    varied = {key for one in results.settings for key in one.choices}
    if len(varied) != 1:
        return ""
    (key,) = varied
    places = {one.name: _number(one.choices[key]) for one in results.settings if one.values}
    if len(places) < 2 or None in places.values():
        return ""
    figures = []
    for name in _EFFECTS:
        points = [
            _point(i, one, _FRONT, Value(places[one.name]), one.values[name])
            for i, one in enumerate(results.settings, start=1)
            if name in one.values
        ]
        shown = [point for point in points if point is not None]
        if shown:
            measure = ALL_MEASURES[name]
            axes = Axis(title=key), Axis(title=measure.title, digits=measure.digits)
            figures.append(figure(measure.title, scatter(shown, *axes), text(measure.meaning)))
    lead = "Each setting at the value of its key, numbered as in the table of results."
    return section("effects", f"What {key.rpartition('.')[2]} does", grid(figures), lead)


def _figure(results: Results, goal: str, axis: Axis, best: Iterable[str]) -> str:
    points = [
        _point(i, one, _FRONT if one.name in best else _BEHIND, *_pair(one.values, goal))
        for i, one in enumerate(results.settings, start=1)
        if one.values
    ]
    shown = [point for point in points if point is not None]
    start = _pair(results.before, goal)
    if start[0].mean is not None and start[1].mean is not None:
        shown.append(_at("before training", "0", _START, *start))
    if not shown:
        return ""
    names = listed(f"<b>{p.tag}</b> · {text(p.name)}" for p in shown if p.kind != _START)
    note = (
        "Up is better. Bars are intervals of each setting alone; 0 is the policy before training."
    )
    return figure(f"Empathy and {axis.title}", scatter(shown, axis, _EMPATHY) + names, note)


def _pair(values: Mapping[str, Value], goal: str) -> tuple[Value, Value]:
    none = Value(None)
    return values.get(goal, none), values.get("empathy", none)


def _point(number_: int, one: Setting, kind: str, x: Value, y: Value) -> Point | None:
    if x.mean is None or y.mean is None:
        return None
    return _at(one.name, str(number_), kind, x, y)


def _at(name: str, tag: str, kind: str, x: Value, y: Value) -> Point:
    assert x.mean is not None
    assert y.mean is not None
    return Point(
        name=name,
        tag=tag,
        kind=kind,
        x=x.mean,
        y=y.mean,
        x_interval=x.interval,
        y_interval=y.interval,
    )


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _mean(values: Mapping[str, Value], name: str) -> float | None:
    return values[name].mean if name in values else None


def described(values: Mapping[str, Value], names: Iterable[str]) -> str:
    """ "empathy 2.46, lift 0.031" for those that are known."""
    shown = {name: _mean(values, name) for name in names}
    return ", ".join(
        f"{name} {number(value, ALL_MEASURES[name].digits if name in ALL_MEASURES else 2)}"
        for name, value in shown.items()
        if value is not None
    )
