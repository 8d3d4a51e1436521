"""Figures of repetition and of every pair: which values, which plot, and how to read it."""

from __future__ import annotations

from mint.pages.html import figure, number
from mint.reproduction import grids, plots
from mint.reproduction.compare import Comparison
from mint.reproduction.marks import legend
from mint.reproduction.plots import Axis, Dot, Point, Row
from mint.reproduction.results import Results
from mint.reproduction.series import (
    dot,
    kinds,
    kinds_legend,
    named,
    numbered,
    points_of,
    signed,
)
from rewards.tactics import NUM_TACTICS

SIGNIFICANT = 0.05
PAIR_KEYS = (
    ("up", "row higher than column (Holm p < 0.05)"),
    ("down", "row lower (Holm)"),
    ("maybe-up", "row higher (Benjamini-Hochberg only)"),
    ("maybe-down", "row lower (Benjamini-Hochberg only)"),
    ("even", "no clear difference"),
)


def pareto(results: Results) -> str:
    """Empathy against lift: the headline."""
    points = points_of(results, "lift", "aggregated_empathy")
    x_axis = Axis(title="lift: repetition beyond chance", digits=3, mark=0.0, mark_label="chance")
    y_axis = Axis(title="aggregate empathy, 1 to 5")
    frame = plots.Frame(points, x_axis, y_axis)
    chart = plots.scatter(points, x_axis, y_axis, guide=_front(frame, points))
    return figure(
        "Empathy against repetition beyond chance",
        kinds_legend(results) + chart,
        "Up is more empathic to the judge. On the dotted line a reply does not depend on which "
        "tactics the person used in the turn before; to the right it repeats them, to the left it "
        "avoids them. No system beats those on the dashed steps in both. Lines are "
        f"{results.settings.confidence:.0%} intervals over conversations.",
    )


def lift_rows(results: Results) -> str:
    """Lift of every system, in numbers."""
    rows = [
        Row(name=name, dots=(dot(results, one, "lift", 3),), note=signed(one.values["lift"]))
        for name, one in named(results)
    ]
    chart = plots.dot_rows(
        rows, Axis(title="lift, −1 to 1", mark=0.0), "Lift of each system, with its interval."
    )
    return figure(
        "Lift of every system",
        chart,
        "The chance of a tactic after a turn that used it, minus its chance after a turn that did "
        "not, averaged over the ten tactics. An interval across the dotted line is compatible "
        "with no dependence on the turn before.",
    )


def against_null(results: Results, own: bool) -> str:
    """Stickiness, or self-stickiness, against what shuffled replies give."""
    metric = "self_stickiness" if own else "stickiness"
    rows = []
    for name, one in named(results):
        null = one.nulls[metric]
        rows.append(
            Row(
                name=name,
                dots=(dot(results, one, metric, 3),),
                band=(null.low, null.high),
                note=f"z {number(null.z, 1)}",
            )
        )
    whose = "its own previous reply" if own else "the person's previous turn"
    chart = plots.dot_rows(
        rows,
        Axis(title=f"{metric.replace('_', '-')}, 0 to 1", low=0.0, high=1.0),
        f"{metric.replace('_', '-')} of each system.",
    )
    keys = legend([("band", "95% of shuffles"), *kinds(results)])
    return figure(
        "Repetition of its own turns, against chance"
        if own
        else "Official stickiness, against chance",
        keys + chart,
        f"How often a tactic of {whose} is used again. In the grey range, replies are dealt to "
        "other conversations at the same place: there the turn before cannot matter. A dot inside "
        "it says only how many tactics the system uses; z counts standard deviations from it.",
    )


def confound(results: Results) -> str:
    """Stickiness against tactics a turn."""
    points = points_of(results, "tac_per_turn", "stickiness")
    x_axis = Axis(title="distinct tactics a turn, 0 to 10", low=0.0, high=float(NUM_TACTICS))
    y_axis = Axis(title="stickiness, 0 to 1", digits=3, low=0.0, high=1.0)
    frame = plots.Frame(points, x_axis, y_axis)
    guide = (
        f'<path class="guide" d="M{frame.x(0):.1f} {frame.y(0):.1f}'
        f'L{frame.x(NUM_TACTICS):.1f} {frame.y(1):.1f}"/>'
    )
    return figure(
        "Why stickiness alone misleads",
        kinds_legend(results) + plots.scatter(points, x_axis, y_axis, guide=guide),
        "Stickiness rises with the number of tactics a turn uses. On the dashed line are systems "
        "that use all tactics equally often and ignore the turn before: with t of ten tactics a "
        "turn, any tactic comes back by chance with probability t/10.",
    )


def pairs(results: Results, metric: str) -> str:
    """Matrix of all pairs for one metric."""
    folders = list(results.systems)
    found = {(c.first, c.second): c for c in results.comparisons[metric]}
    states = [[_state(found, a, b) for b in folders] for a in folders]
    clear = sum(c.holm < SIGNIFICANT for c in found.values())
    title = metric.replace("self_", "self-").replace("_", " ").replace("tac per", "tactics per")
    chart = grids.pair_matrix(
        numbered(results),
        [str(n) for n in range(1, len(folders) + 1)],
        states,
        f"Pairwise comparison of {title}: {clear} of {len(found)} pairs differ after Holm.",
    )
    return figure(
        title[0].upper() + title[1:],
        chart,
        f"{clear} of {len(found)} pairs differ after Holm's correction.",
    )


def _state(found: dict[tuple[str, str], Comparison], row: str, column: str) -> str:
    if row == column:
        return "self"
    pair = found[row, column] if (row, column) in found else found[column, row]
    row_gains = pair.difference > 0 if pair.second == row else pair.difference < 0
    way = "up" if row_gains else "down"
    if pair.holm < SIGNIFICANT:
        return way
    return f"maybe-{way}" if pair.benjamini_hochberg < SIGNIFICANT else "even"


def previous_turns(results: Results) -> str:
    """How many pairs each tactic's share of the stickiness rests on."""
    rows = [
        Row(
            name=name.replace("_", " "),
            dots=(Dot(value=float(count), kind="people", title=f"{name}: {count}"),),
            note=str(count),
        )
        for name, count in results.previous_turns.items()
    ]
    chart = plots.dot_rows(
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


def _front(frame: plots.Frame, points: list[Point]) -> str:
    """Steps through the systems that none beats in empathy and in low lift."""
    best = sorted(points, key=lambda p: (-p.y, p.x))
    front: list[Point] = []
    for point in best:
        if not front or point.x < front[-1].x:
            front.append(point)
    if len(front) < 2:
        return ""
    path = f"M{frame.x(front[0].x):.1f} {frame.y(front[0].y):.1f}"
    for point in front[1:]:
        path += f"V{frame.y(point.y):.1f}H{frame.x(point.x):.1f}"
    return f'<path class="guide" d="{path}"/>'
