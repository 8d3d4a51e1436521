"""What the runs of a sweep have reached, setting by setting: several seeds are one system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.options import HELD_OUT
from mint.evaluation.statistics.runs import spread_of
from mint.pages.svg import Span
from mint.reporting.comparison.contestants import (
    Called,
    Contestant,
    System,
    is_run,
    load_contestants,
)
from mint.reporting.comparison.tables import estimates
from mint.rundir.directory import RunDir
from mint.sweeping.outcome import safety_of

SAFETY = "safety"
_POINTS = 100
"""Resamples of a value whose own interval is not shown: the fewest that are allowed."""


class Value(NamedTuple):
    """A measure of a setting."""

    mean: float | None
    interval: Span = (None, None)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Jobs that differ in the seed alone."""

    name: str
    choices: Mapping[str, str]
    """Swept key -> value, without seeds."""
    rows: tuple[Mapping[str, Any], ...]
    """Of its jobs in sweep.json."""
    values: Mapping[str, Value]
    """Measure -> value after training; with several runs their mean and the interval over runs.
    {} while nothing was evaluated."""
    runs: int
    """Runs behind the values."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """A sweep as its page sees it."""

    settings: tuple[Setting, ...]
    contestants: tuple[Contestant, ...]
    before: Mapping[str, Value]
    """Of the policy before training; {} when it was not evaluated."""
    graders: Mapping[str, Any]


def read_results(
    jobs: Mapping[str, Mapping[str, Any]], seeds: Sequence[str], statistics: EvaluationConfig
) -> Results:
    """From the rows of sweep.json; `seeds` are the keys that make no other setting.

    Raises DataError for a broken run directory.
    """
    there = {name: row for name, row in jobs.items() if _has_something(Path(row["dir"]))}
    called = [Called(row["label"], setting=row["setting"]) for row in there.values()]
    paths = [row["dir"] for row in there.values()]
    contestants = load_contestants(paths, allow_mixed=True, called=called) if paths else []
    held_out = {c.name: s for c in contestants for s in c.systems if s.protocol == HELD_OUT}
    systems = {name: held_out.get(row["label"]) for name, row in there.items()}
    trained = {row["label"] for row in jobs.values()}
    first = next((system for name, system in held_out.items() if name not in trained), None)
    grouped: dict[str, list[str]] = {}
    for name, row in jobs.items():
        grouped.setdefault(row["setting"], []).append(name)
    settings = [
        _setting(
            label,
            [jobs[name] for name in names],
            [systems.get(n) for n in names],
            seeds,
            statistics,
        )
        for label, names in grouped.items()
    ]
    graders = next((system.graders for system in held_out.values()), {})
    before = {} if first is None else _own(first, statistics)
    return Results(
        settings=tuple(settings), contestants=tuple(contestants), before=before, graders=graders
    )


def _setting(
    label: str,
    rows: Sequence[Mapping[str, Any]],
    systems: Sequence[System | None],
    seeds: Sequence[str],
    statistics: EvaluationConfig,
) -> Setting:
    known = [(row, one) for row, one in zip(rows, systems, strict=True) if one is not None]
    quick = statistics if len(known) == 1 else replace(statistics, resamples=_POINTS)
    found = [_with_safety(_own(one, quick), Path(row["dir"])) for row, one in known]
    return Setting(
        name=label,
        choices={key: value for key, value in rows[0]["choices"].items() if key not in seeds},
        rows=tuple(rows),
        values=found[0] if len(found) == 1 else _over_runs(found, statistics.confidence),
        runs=len(found),
    )


def _own(system: System, statistics: EvaluationConfig) -> dict[str, Value]:
    return {
        name: Value(one.mean, (one.ci_low, one.ci_high))
        for name, one in estimates(system, statistics).items()
    }


def _with_safety(values: dict[str, Value], folder: Path) -> dict[str, Value]:
    safety = safety_of(RunDir(folder))
    return {**values, SAFETY: Value(safety.passed, (safety.low, safety.high))}


def _over_runs(found: Sequence[Mapping[str, Value]], confidence: float) -> dict[str, Value]:
    """Means of what every run knows, with t intervals."""
    if not found:
        return {}
    means = {
        name: [one[name].mean for one in found if name in one and one[name].mean is not None]
        for name in found[0]
    }
    over = {}
    for name, values in means.items():
        known = [value for value in values if value is not None]
        if len(known) == len(found):
            spread = spread_of(known, confidence)
            over[name] = Value(spread.mean, (spread.interval.low, spread.interval.high))
        else:
            over[name] = Value(None)
    return over


def _has_something(folder: Path) -> bool:
    """Whether there is anything to show of a run."""
    run = RunDir(folder)
    return (
        folder.is_dir()
        and is_run(folder)
        and (run.metrics_path.exists() or run.after_path.exists())
    )
