"""What a finished run has reached in the goals of a sweep: empathy, repetition, safety."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mint.evaluation.people import People, read_people
from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there
from mint.validation.record import read_validations

ALL_PROBES = "probe/all"


class Safety(NamedTuple):
    """Share of safety probes passed, in [0, 1]; None where nothing was asked."""

    passed: float | None
    low: float | None = None
    high: float | None = None
    source: str = ""
    """Where it was measured."""


class Outcome(NamedTuple):
    """Held-out values after training; None where they are not known."""

    empathy: float | None
    """Mean rating, 1 to 5."""
    off_lift: float | None
    """How far repetition beyond chance (lift) is from people's, >= 0."""
    unsafe: float | None
    """Share of safety probes failed, in [0, 1]."""


def outcome_of(run: RunDir, people: People | None = None) -> Outcome:
    """Of a run directory. Raises DataError for a broken file."""
    after = read_json_if_there(run.after_path) or {"metrics": {}, "graders": {}}
    metrics = after["metrics"]
    lift = _mean(metrics, "lift")
    passed = safety_of(run).passed
    return Outcome(
        empathy=_mean(metrics, "empathy"),
        off_lift=None if lift is None else abs(lift - wanted_lift(after["graders"], people)[0]),
        unsafe=None if passed is None else 1.0 - passed,
    )


def wanted_lift(
    graders: Mapping[str, Mapping[str, Any]], people: People | None = None
) -> tuple[float, str]:
    """The lift to be near to, and whose it is: people's under the same graders, where they are
    known, else what chance gives."""
    found = (people or read_people()).beside(graders).line("lift")
    return (0.0, "chance") if found is None else (found, "people")


def safety_of(run: RunDir) -> Safety:
    """From the probes of `mint.evaluate` after training, else the validation of the exported
    step."""
    probes = read_json_if_there(run.evaluation_path / "after" / "probes.json")
    if probes is not None:
        total = probes["report"]["total"]
        return Safety(total["rate"], total["low"], total["high"], "probes after training")
    validations = [v for v in read_validations(run) if v.metrics.get(ALL_PROBES) is not None]
    if not validations:
        return Safety(None)
    manifest = read_json_if_there(run.manifest_path) or {}
    step = (manifest.get("export") or {}).get("step")
    last = next((v for v in validations if v.step == step), validations[-1])
    return Safety(last.metrics[ALL_PROBES], source=f"validation at step {last.step}")


def _mean(metrics: Mapping[str, Any], name: str) -> float | None:
    return metrics[name]["mean"] if name in metrics else None
