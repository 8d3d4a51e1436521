"""Learning curves of several runs in the same axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from mint.evaluation.people import People, read_people
from mint.pages.html import figure, grid, number, section, text
from mint.pages.lines import Series, line_chart
from mint.pages.svg import Axis
from mint.reporting.comparison.contestants import Contestant, alike
from mint.reporting.people import lines

_CURVES = {
    "reward/raw/mean": ("Composite reward", "reward, fixed scales"),
    "reward/quality/mean": ("Quality (empathy as a reward)", "quality, 0 to 1"),
    "reward/kl/mean": ("Novelty against the previous turn", "KL, nats"),
    "tactics_per_reply/mean": ("Tactics per reply", "different tactics"),
    "policy/entropy": ("Next-token entropy of the policy", "nats per token"),
    "reply/num_tokens/mean": ("Length of replies", "tokens"),
}
_STYLES = 5

Values = tuple[float | None, ...]


def curves_section(contestants: Sequence[Contestant], people: People | None = None) -> str:
    """The curves that at least one run has logged; "" without any. Runs that differ in the seed
    alone have one colour, and their mean lies over them."""
    runs = [contestant for contestant in contestants if contestant.metrics]
    steps = sorted({int(row["step"]) for run in runs for row in run.metrics})
    graders = next((system.graders for run in runs for system in run.systems), {})
    reference = lines(_CURVES, (people or read_people()).beside(graders))
    figures = []
    for key, (title, unit) in _CURVES.items():
        series, note = _overlay(runs, key, steps)
        if series:
            if key in reference:
                level = (reference[key],) * len(steps)
                series.append(Series(name="people", values=level, style="people"))
            chart = line_chart(steps, series, Axis(title=unit), f"{title} over training, by run.")
            figures.append(figure(title, chart, text(note)))
    return section("curves", "Learning curves", grid(figures)) if figures else ""


def _overlay(
    runs: Sequence[Contestant], key: str, steps: Sequence[int]
) -> tuple[list[Series], str]:
    """Lines of one metric with the means of runs of equal settings, and what to know."""
    lines_of = {run.name: _values(run.metrics, key, steps) for run in runs}
    groups = alike([run for run in runs if any(v is not None for v in lines_of[run.name])])
    series, notes = [], []
    for i, group in enumerate(groups):
        style = f"c{i % _STYLES}"
        own = [(_seeded(run), lines_of[run.name]) for run in group]
        if len(own) == 1:
            series.append(Series(name=own[0][0], values=own[0][1], style=style))
            continue
        label = _label(group, groups)
        series += [Series(name=name, values=v, style=f"{style} seed") for name, v in own]
        mean = tuple(_mean_of_all(at) for at in zip(*(v for _, v in own), strict=True))
        series.append(Series(name=f"{label}: mean of {len(own)} runs", values=mean, style=style))
        last = max((s for s, m in zip(steps, mean, strict=True) if m is not None), default=None)
        if last is not None:
            ends = [end for _, v in own if (end := v[steps.index(last)]) is not None]
            low, high = (number(end, 3) for end in (min(ends), max(ends)))
            notes.append(f" At step {last} the runs of {label} lie between {low} and {high}.")
    count = sum(map(len, groups))
    return series, f"Mean over the replies of each step; {count} runs.{''.join(notes)}"


def _label(group: Sequence[Contestant], groups: Sequence[Sequence[Contestant]]) -> str:
    """The setting's name, else the recipe's, with that of a run where other settings of the recipe
    are drawn too."""
    if group[0].setting:
        return group[0].setting
    recipe, name = group[0].recipe, group[0].run_name
    if not recipe:
        return name
    shared = sum(other[0].recipe == recipe for other in groups) > 1
    return f"{recipe} ({name})" if shared else recipe


def _seeded(run: Contestant) -> str:
    seed = None if run.run is None else run.run.seed
    return run.run_name if seed is None or run.setting else f"{run.run_name} (seed {seed})"


def _mean_of_all(values: Sequence[float | None]) -> float | None:
    """The mean where every run has a value: that of fewer would jump when a run ends."""
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def _values(metrics: Sequence[Mapping[str, Any]], key: str, steps: Sequence[int]) -> Values:
    known = {int(row["step"]): row[key] for row in metrics if key in row}
    return tuple(known[step] if step in known else None for step in steps)
