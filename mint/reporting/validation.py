"""Validation during training: its curves, the chosen step and why, and the collapse alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mint.pages.html import figure, grid, missing, number, section, spaced, table, text, watch
from mint.pages.lines import Series, line_chart
from mint.pages.svg import Axis
from mint.reporting.curves import CURVES
from mint.reporting.data import ReportData
from mint.reporting.people import lines
from mint.validation.choice import Validation
from mint.validation.collapse import ALARM, KEYS
from mint.validation.measure import LEARNT


def validation_section(data: ReportData) -> str:
    """What validations have measured and which step was chosen; alarms of the training batches."""
    body = [watch("Look out for", [text(warning) for warning in _warnings(data)])]
    if data.validations:
        body += ["<h3>Validated steps</h3>", _table(data)]
    else:
        body.append(
            missing("This run did not validate during training (mint.validation.every_steps).")
        )
    figures = list(_figures(data))
    if figures:
        body += ["<h3>Curves</h3>", grid(figures)]
    lead = "" if data.best is None else f"Chosen: {text(_chosen_words(data.best))}."
    return section("validation", "Validation during training", "".join(body), lead)


def alarm_spans(metrics: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, int]]:
    """First and last step of each stretch in which an alarm was on."""
    spans: list[tuple[int, int]] = []
    was_on = False
    for row in metrics:
        key = f"{ALARM}{name}"
        on = key in row and bool(row[key])
        if on:
            spans.append((spans.pop()[0] if was_on else row["step"], row["step"]))
        was_on = on
    return spans


def _warnings(data: ReportData) -> Iterator[str]:
    manifest = data.manifest or {}
    if "export" in manifest and manifest["export"]["warning"]:
        yield manifest["export"]["warning"]
    if "stopped" in manifest and manifest["stopped"] is not None:
        yield f"Training ended early: {manifest['stopped']['reason']}."
    yield from _learnt(data)
    for key, name in KEYS.items():
        for first, last in alarm_spans(data.metrics, name):
            when = f"step {first}" if first == last else f"steps {first} to {last}"
            yield f"Collapse alarm for {spaced(name)} ({key}) at {when}."


def _learnt(data: ReportData) -> Iterator[str]:
    steps = [str(v.step) for v in data.validations if _metric(v, LEARNT)]
    if steps:
        yield (
            "The policy is learning the judge: its rating rose by more than the second judge's "
            f"did (mint.second_judge.max_gap_gain) at step {', '.join(steps)}."
        )


def _chosen_words(best: Mapping[str, Any]) -> str:
    if best["step"] is None:
        return f"no step; {best['reason']}"
    return f"step {best['step']}, {best['reason']}"


def _figures(data: ReportData) -> Iterator[str]:
    if data.validations:
        yield _score(data)
        steps = [validation.step for validation in data.validations]
        for curve in CURVES["validations"]:
            values = {key: tuple(_metric(v, key) for v in data.validations) for key in curve.keys}
            if any(value is not None for own in values.values() for value in own):
                yield curve.draw(steps, values, lines(curve.keys, data.people))
    wording, *_ = CURVES["batches"]
    if data.has(*wording.keys):
        for curve in CURVES["batches"]:
            yield curve.draw(data.steps, data.table(curve.keys), lines(curve.keys, data.people))


def _score(data: ReportData) -> str:
    steps = [validation.step for validation in data.validations]
    chosen = _chosen(data)
    marked = tuple(v.score if v.step == chosen else None for v in data.validations)
    series = [Series(name="score", values=tuple(v.score for v in data.validations))]
    if chosen is not None:
        series.append(Series(name=f"chosen: step {chosen}", values=marked, style="c1"))
    description = "Score of each validation, what steps are chosen by."
    return figure(
        "Score of the validated steps",
        line_chart(steps, series, Axis(title="score"), description),
        "The stated composite (mint.validation.choose) on held-out conversations.",
    )


def _table(data: ReportData) -> str:
    rows = [
        [
            str(v.step) + (" (chosen)" if v.step == _chosen(data) else ""),
            number(v.score, 3),
            number(_metric(v, "empathy"), 2),
            number(_metric(v, "second_empathy"), 2),
            number(_metric(v, "probe/all"), 2),
            "<br>".join(text(line) for line in v.broken) or "kept",
        ]
        for v in data.validations
    ]
    people = data.people.words("empathy", 2)
    empathy = f"Empathy ({people})" if people else "Empathy"
    heads = ("Step", "Score", text(empathy), "Second judge", "Probes passed", "Limits")
    return table(heads, rows, "Validated steps with score and limits")


def _chosen(data: ReportData) -> int | None:
    return None if data.best is None else data.best["step"]


def _metric(validation: Validation, name: str) -> float | None:
    return validation.metrics[name] if name in validation.metrics else None
