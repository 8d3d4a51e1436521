"""The middle of the page: curves over training steps."""

from __future__ import annotations

from mint.pages import svg
from mint.pages.html import figure, missing, more, number, section, text
from mint.pages.svg import Axes, Series
from mint.reporting.curves import (
    COMPONENT_AXES,
    COMPONENT_MEANINGS,
    COMPONENT_NAMES,
    HEALTH,
    REWARD,
    SCALED,
    THROUGHPUT,
    Curve,
)
from mint.reporting.data import ReportData
from rewards.formula import COMPONENTS
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
    if not data.metrics:
        return section("reward", "Reward during training", _no_metrics())
    components = [_component(data, name) for name in COMPONENTS]
    figures = [_draw(data, curve) for curve in (*REWARD, *components, SCALED)]
    return section("reward", "Reward during training", _grid(figures))


def health_section(data: ReportData) -> str:
    """Whether the numbers behind the gradient can be trusted."""
    if not data.metrics:
        return section("health", "Health of the training", _no_metrics())
    figures = [_draw(data, curve) for curve in HEALTH]
    return section("health", "Health of the training", _grid(figures))


def tactic_curves_section(data: ReportData) -> str:
    """Use of each tactic over training."""
    keys = {name: f"tactic/{name}/frac" for name in TACTIC_NAMES}
    if not data.has(*keys.values()):
        return ""
    curves = [
        Curve(
            name.replace("_", " ").capitalize(),
            {key: name.replace("_", " ")},
            Axes(
                description=f"Share of training replies with {name.replace('_', ' ')}.",
                unit="share of replies",
                low=0.0,
                high=1.0,
                height=150.0,
            ),
            "",
        )
        for name, key in keys.items()
    ]
    figures = [_draw(data, curve) for curve in curves]
    body = more("Ten curves, one a tactic", _grid(figures))
    return section(
        "tactic-curves",
        "Tactics during training",
        body,
        "Share of each step's training replies that use a tactic at least once.",
    )


def time_section(data: ReportData) -> str:
    """Where the time of a step goes."""
    if not data.has("time/step_s"):
        return section("time", "Time", missing("No timings were logged."))
    chart = svg.stacked_bars(
        data.steps,
        _phases(data),
        Axes(description="Seconds of each step by phase.", unit="seconds a step"),
    )
    phases = figure(
        "Where a step's time goes",
        chart,
        "Each bar is one training step; graders run while other replies are still being "
        "generated, so grading is part of the first phase.",
    )
    known = [value for value in data.series("time/step_s") if value is not None]
    lead = (
        f"{len(known)} steps took {number(sum(known) / 60, 1)} minutes, "
        f"{number(sum(known) / len(known), 1)} s a step on average."
    )
    return section("time", "Time", _grid([phases, _draw(data, THROUGHPUT)]), lead)


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


def _draw(data: ReportData, curve: Curve) -> str:
    present = {key: name for key, name in curve.keys.items() if data.has(key)}
    if not present:
        note = missing(f"Not logged in this run ({', '.join(curve.keys)}).")
        return figure(curve.title, note, text(curve.explanation))
    series = [
        Series(name=name, values=data.series(key), style=f"c{i}")
        for i, (key, name) in enumerate(present.items())
    ]
    chart = svg.line_chart(data.steps, series, curve.axes)
    return figure(curve.title, chart, text(curve.explanation))


def _component(data: ReportData, name: str) -> Curve:
    title, unit = COMPONENT_AXES[name]
    return Curve(
        title,
        {f"reward/{name}/mean": COMPONENT_NAMES[name]},
        Axes(description=f"Mean of {title.lower()} over each step's replies.", unit=unit),
        _component_note(data, name),
    )


def _component_note(data: ReportData, name: str) -> str:
    weight = data.setting(f"mint.reward.{name}")
    meaning = COMPONENT_MEANINGS[name]
    if weight is None:
        return meaning
    if weight == 0:
        return f"{meaning} Its weight is 0: it is measured, not trained on."
    return f"{meaning} Its weight is {weight:g} (mode {data.setting('mint.reward.mode')})."


def _grid(figures: list[str]) -> str:
    return f'<div class="grid">{"".join(figures)}</div>'


def _no_metrics() -> str:
    return missing("No training step has been logged (metrics.jsonl is missing or empty).")
