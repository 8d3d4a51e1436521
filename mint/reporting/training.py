"""The middle of the page: curves over training steps."""

from __future__ import annotations

from collections.abc import Sequence

from mint.pages.html import figure, grid, missing, more, number, section, spaced
from mint.pages.lines import Series, stacked_bars
from mint.pages.svg import Axis
from mint.reporting.curves import COMPONENTS, CURVES, Curve
from mint.reporting.data import ReportData
from mint.reporting.people import lines
from rewards.tactics import TACTIC_NAMES

_PHASES = {
    "time/generate_s": "generate and grade",
    "time/old_log_prob_s": "old log-probs",
    "time/ref_s": "reference",
    "time/reward_s": "reward",
    "time/advantage_s": "advantage",
    "time/update_s": "update",
    "time/push_s": "push weights",
    "time/checkpoint_s": "checkpoint",
}


def reward_section(data: ReportData) -> str:
    """The composite reward and its components."""
    components = [_component(data, name) for name in COMPONENTS]
    # Not every judge gives parts, and runs of earlier versions have not logged them.
    parts = [curve for curve in CURVES["parts"] if data.has(*curve.keys)]
    body = _curves(data, [*CURVES["reward"], *components, *parts, *CURVES["scaled"]])
    return section("reward", "Reward during training", body)


def health_section(data: ReportData) -> str:
    """Whether the numbers behind the gradient can be trusted."""
    return section("health", "Health of the training", _curves(data, CURVES["health"]))


def tactic_curves_section(data: ReportData) -> str:
    """Use of each tactic over training; "" when it was not logged."""
    curves = [
        Curve(
            spaced(name).capitalize(),
            {f"tactic/{name}/frac": spaced(name)},
            Axis(title="share of replies", low=0.0, high=1.0),
            f"Share of training replies with {spaced(name)}.",
            "",
            height=150.0,
        )
        for name in TACTIC_NAMES
    ]
    if not data.has(*(key for curve in curves for key in curve.keys)):
        return ""
    return section(
        "tactic-curves",
        "Tactics during training",
        more("Ten curves, one a tactic", _curves(data, curves)),
        "Share of each step's training replies that use a tactic at least once.",
    )


def time_section(data: ReportData) -> str:
    """Where the time of a step goes."""
    known = [value for value in data.series("time/step_s") if value is not None]
    if not known:
        return section("time", "Time", missing("No timings were logged."))
    phases = split_figure(data)
    lead = (
        f"{len(known)} steps took {number(sum(known) / 60, 1)} minutes, "
        f"{number(sum(known) / len(known), 1)} s a step on average."
    )
    drawn = [curve.draw(data.steps, data.table(curve.keys)) for curve in CURVES["throughput"]]
    return section("time", "Time", grid([phases, *drawn]), lead)


def split_figure(data: ReportData) -> str:
    """The seconds of each step, by phase."""
    axis = Axis(title="seconds a step")
    return figure(
        "Where a step's time goes",
        stacked_bars(data.steps, _phases(data), axis, "Seconds of each step by phase."),
        "Each bar is one training step; graders run while other replies are still being "
        "generated, so grading is part of the first phase.",
    )


def _phases(data: ReportData) -> list[Series]:
    """Seconds of each phase, and what is left of the step."""
    phases = [
        Series(name=title, values=data.series(key), style=f"c{i}")
        for i, (key, title) in enumerate(_PHASES.items())
        if data.has(key)
    ]
    rest = tuple(
        None if step is None else max(0.0, step - sum(p.values[i] or 0.0 for p in phases))
        for i, step in enumerate(data.series("time/step_s"))
    )
    return [*phases, Series(name="everything else", values=rest, style="rest")]


def _curves(data: ReportData, curves: Sequence[Curve]) -> str:
    if not data.metrics:
        return missing("No training step has been logged (metrics.jsonl is missing or empty).")
    return grid(
        curve.draw(data.steps, data.table(curve.keys), lines(curve.keys, data.people))
        for curve in curves
    )


def _component(data: ReportData, name: str) -> Curve:
    shown, title, unit, note = COMPONENTS[name]
    weight = data.setting(f"mint.reward.{name}")
    if weight == 0:
        note += " Its weight is 0: it is measured, not trained on."
    elif weight is not None:
        note += f" Its weight is {weight:g} (mode {data.setting('mint.reward.mode')})."
    return Curve(
        title,
        {f"reward/{name}/mean": shown},
        Axis(title=unit),
        f"Mean of {title.lower()} over each step's replies.",
        note,
    )
