"""Plots of a comparison: trade-offs between goals, and which tactic follows which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.own_sequence import sequences
from mint.evaluation.metrics.repetition import transition_matrix
from mint.evaluation.statistics.bootstrap import UNKNOWN, Interval
from mint.evaluation.statistics.estimates import Estimate
from mint.pages.html import figure, missing, section, text
from mint.reporting.compare_tables import estimates
from mint.reporting.contestants import Contestant, System
from mint.reproduction.grids import heat_map
from mint.reproduction.marks import legend
from mint.reproduction.plots import Axis, Frame, Point, scatter
from rewards.tactics import TACTIC_NAMES

_FEWEST = 5
_MAX_MAPS = 8
_FRONT, _BEHIND = "trained", "prompted"


class Scores(NamedTuple):
    """What a system is weighed by; None where it is not known."""

    empathy: Estimate
    lift: Estimate
    self_stickiness: Estimate
    safety: float | None
    """Share of probes passed."""
    safety_interval: Interval


def trade_off_section(
    protocols: Mapping[str, Sequence[System]],
    titles: Mapping[str, str],
    contestants: Sequence[Contestant],
    settings: EvaluationConfig,
) -> str:
    """Empathy against repetition and safety, for each protocol."""
    figures = []
    for protocol, systems in protocols.items():
        scores = {s.name: _scores(s, contestants, settings) for s in systems}
        known = {name: one for name, one in scores.items() if one is not None}
        if known:
            figures += _figures(titles[protocol], known)
    if not figures:
        return ""
    keys = legend(
        [
            (_FRONT, "on the front: no other is better in one and as good in all"),
            (_BEHIND, "some other system is at least as good in everything"),
        ]
    )
    lead = (
        "Up and to the better side is better. The front weighs all goals that are known: empathy, "
        "repetition beyond chance, self-stickiness and, where all systems were probed, safety."
    )
    return section("tradeoffs", "Trade-offs", keys + _grid(figures), lead)


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


def tactics_section(protocols: Mapping[str, Sequence[System]], titles: Mapping[str, str]) -> str:
    """For each system, which tactic follows which from one of its own replies to the next."""
    figures = []
    for protocol, systems in protocols.items():
        for system in systems[:_MAX_MAPS]:
            title = f"{system.name}, {titles[protocol]}"
            own = sequences(system.replies)
            if len(own.now_PK) == 0:
                note = missing("No two neighbouring turns were graded.")
                figures.append(figure(title, note, ""))
                continue
            figures.append(_heat_figure(title, own.now_PK, own.before_PK))
    if not figures:
        return ""
    lead = (
        "Rows: a tactic of the model's own last reply. Columns: share of next replies, in percent, "
        "that use the tactic. A column that is dark throughout is a tactic that is always on; a "
        "dark diagonal is repetition."
    )
    return section("transitions", "Which tactic follows which", _grid(figures), lead)


def _heat_figure(title: str, now_PK: np.ndarray, before_PK: np.ndarray) -> str:
    shares_KK = transition_matrix(now_PK, before_PK)
    n_K = before_PK.sum(axis=0)
    rows = [f"{name.replace('_', ' ')} ({n})" for name, n in zip(TACTIC_NAMES, n_K, strict=True)]
    columns = [name.replace("_", " ") for name in TACTIC_NAMES]
    enough_K = n_K >= _FEWEST
    shares = [
        [float(v) if np.isfinite(v) and enough else 0.0 for v in row]
        for row, enough in zip(shares_KK, enough_K, strict=True)
    ]
    shown = [
        [f"{100 * v:.0f}" if enough else "·" for v in row]
        for row, enough in zip(shares, enough_K, strict=True)
    ]
    note = (
        f"{len(now_PK)} neighbouring replies; brackets: replies with the row's tactic. Rows with "
        f"fewer than {_FEWEST} are left empty."
    )
    drawing = heat_map(rows, columns, shares, shown, "Share of next replies with each tactic.")
    return figure(title, drawing, note)


def _figures(title: str, scores: Mapping[str, Scores]) -> list[str]:
    probed = all(one.safety is not None for one in scores.values())
    goals = {
        name: (
            _mean(one.empathy),
            -_mean(one.lift),
            -_mean(one.self_stickiness),
            *((one.safety or 0.0,) if probed else ()),
        )
        for name, one in scores.items()
    }
    front = pareto_front(goals)
    numbers = "".join(f"<li>{text(name)}{_safety(one)}</li>" for name, one in scores.items())
    names = f'<ol class="numbers">{numbers}</ol>'
    figures = []
    for axis, pick, better in (
        (
            Axis(title="repetition beyond chance (lift)", mark=0.0, mark_label="chance"),
            lambda s: s.lift,
            -1,
        ),
        (Axis(title="self-stickiness", low=0.0), lambda s: s.self_stickiness, -1),
    ):
        points = [
            _point(i, name, front, pick(one), one.empathy)
            for i, (name, one) in enumerate(scores.items(), start=1)
            if pick(one).mean is not None and one.empathy.mean is not None
        ]
        if points:
            figures.append(
                _figure(f"{title}: empathy and {axis.title}", points, axis, better, names)
            )
    if any(one.safety is not None for one in scores.values()):
        points = [
            Point(
                name=name,
                tag=str(i),
                kind=_FRONT if name in front else _BEHIND,
                x=one.safety,
                y=_mean(one.empathy),
                x_interval=one.safety_interval,
                y_interval=_interval(one.empathy),
            )
            for i, (name, one) in enumerate(scores.items(), start=1)
            if one.safety is not None and one.empathy.mean is not None
        ]
        axis = Axis(title="safety probes passed (share)", low=0.0, high=1.0)
        figures.append(_figure(f"{title}: empathy and safety", points, axis, 1, names))
    return figures


def _figure(title: str, points: Sequence[Point], axis: Axis, better: int, names: str) -> str:
    y_axis = Axis(title="empathy (judge, 1 to 5)")
    guide = _front_line(points, axis, y_axis, better)
    side = "left" if better < 0 else "right"
    note = (
        f"Better is up and to the {side}. Bars are intervals of each system alone; the dashed line "
        "joins the systems that are best in these two goals."
    )
    return figure(title, scatter(points, axis, y_axis, guide=guide) + names, note)


def _front_line(points: Sequence[Point], x_axis: Axis, y_axis: Axis, better: int) -> str:
    best = pareto_front({p.tag: (better * p.x, p.y) for p in points})
    kept = sorted((p.x, p.y) for p in points if p.tag in best)
    if len(kept) < 2:
        return ""
    frame = Frame(points, x_axis, y_axis)
    path = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in kept)
    return f'<path class="guide" d="M{path}"/>'


def _point(number: int, name: str, front: set[str], x: Estimate, y: Estimate) -> Point:
    return Point(
        name=name,
        tag=str(number),
        kind=_FRONT if name in front else _BEHIND,
        x=_mean(x),
        y=_mean(y),
        x_interval=_interval(x),
        y_interval=_interval(y),
    )


def _scores(
    system: System, contestants: Sequence[Contestant], settings: EvaluationConfig
) -> Scores | None:
    values = estimates(system, settings)
    if not values:
        return None
    owner = next(c for c in contestants if c.name == system.owner)
    total = None if owner.probes is None else owner.probes["report"]["total"]
    return Scores(
        empathy=values["empathy"],
        lift=values["lift"],
        self_stickiness=values["self_stickiness"],
        safety=None if total is None else total["rate"],
        safety_interval=UNKNOWN if total is None else Interval(total["low"], total["high"]),
    )


def _safety(one: Scores) -> str:
    return "" if one.safety is None else f" · safety {one.safety:.0%}"


def _mean(value: Estimate) -> float:
    return float("-inf") if value.mean is None else value.mean


def _interval(value: Estimate) -> Interval:
    return Interval(value.ci_low, value.ci_high)


def _grid(figures: Sequence[str]) -> str:
    return f'<div class="grid">{"".join(figures)}</div>'
