"""Runs that differ in the seed alone: what the same recipe gives when it is started again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.options import HELD_OUT
from mint.evaluation.statistics.coverage import RUNS, covers
from mint.evaluation.statistics.estimates import Estimate
from mint.evaluation.statistics.runs import spread_of
from mint.pages.html import interval, listed, number, section, spaced, table, text
from mint.reporting.comparison.contestants import Contestant, System, alike
from mint.reporting.comparison.run_settings import RunSettings
from mint.reporting.comparison.tables import ALL_MEASURES, MAIN, estimates

_POINTS = 100
"""Resamples of a value whose own interval is not shown: the fewest that are allowed."""


def seeds_section(contestants: Sequence[Contestant], settings: EvaluationConfig) -> str:
    """Mean, standard deviation and t interval over the runs of each recipe, after training; a
    remark for a recipe with one run, "" without evaluated runs."""
    groups = same_but_for_the_seed(contestants)
    if not groups:
        return ""
    quick = replace(settings, resamples=_POINTS)
    tables = [_table(group, quick) for group in groups if len(group) > 1]
    alone = [
        f"<b>{text(group[0].run_name)}</b>: only one run of these settings"
        f"{_unlike(group, groups)}, so the spread between runs is not known; train again with "
        "another mint.run.seed."
        for group in groups
        if len(group) == 1
    ]
    lead = covers(settings.confidence, RUNS) if tables else ""
    body = "".join(tables) + (listed(alone, "muted small") if alone else "")
    return section("seeds", "Spread between runs", body, lead)


def same_but_for_the_seed(contestants: Sequence[Contestant]) -> list[list[Contestant]]:
    """The trained policies of runs, together with those of equal settings and data."""
    return alike([one for one in contestants if one.run is not None and _held_out(one)])


def _table(group: Sequence[Contestant], settings: EvaluationConfig) -> str:
    values = [estimates(system, settings) for one in group if (system := _held_out(one))]
    rows = []
    for name in MAIN:
        own = [_mean(of_run, name) for of_run in values]
        known = [value for value in own if value is not None]
        if not known:
            continue
        measure = ALL_MEASURES[name]
        shown = [number(value, measure.digits) for value in own]
        if len(known) < len(group):
            rows.append([measure.heading, *shown, "–", "–", "–"])
            continue
        found = spread_of(known, settings.confidence)
        rows.append(
            [
                measure.heading,
                *shown,
                f"<b>{number(found.mean, measure.digits)}</b>",
                number(found.deviation, measure.digits + 1),
                interval(*found.interval, measure.digits),
            ]
        )
    heads = [f'{text(one.run_name)}<span class="sub">seed {_run(one).seed}</span>' for one in group]
    caption = f"{len(group)} runs of equal settings, after training"
    ends = ("Mean", "Standard deviation", "Interval over runs")
    note = ""
    if any(_run(a).seed == _run(b).seed for a, b in pairwise(sorted(group, key=_seed))):
        note = '<p class="muted small">Runs of the same seed differ too: what runs at the same '
        note += "time has no fixed order.</p>"
    return table(("Measure", *heads, *ends), rows, caption, kind="wide compare") + note


def _mean(values: Mapping[str, Estimate], name: str) -> float | None:
    return values[name].mean if name in values else None


def _unlike(group: Sequence[Contestant], groups: Sequence[Sequence[Contestant]]) -> str:
    """What sets a single run apart from the first other one, as an addition."""
    others = [other for other in groups if other is not group]
    if not others:
        return ""
    keys = ", ".join(spaced(key) for key in _run(group[0]).differing(_run(others[0][0]))[:3])
    return f" ({text(others[0][0].run_name)} differs in {text(keys)})"


def _held_out(one: Contestant) -> System | None:
    return next((system for system in one.systems if system.protocol == HELD_OUT), None)


def _run(one: Contestant) -> RunSettings:
    assert one.run is not None
    return one.run


def _seed(one: Contestant) -> str:
    return str(_run(one).seed)
