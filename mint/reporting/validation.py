"""Validation during training: its curves, the chosen step and why, and the collapse alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mint.pages import svg
from mint.pages.html import figure, missing, number, section, table, text
from mint.pages.svg import Axes, Series
from mint.reporting.data import ReportData
from mint.validation.choice import Validation
from mint.validation.collapse import ALARM, ENTROPY, KEYS

_TITLE = "Validation during training"
_REPETITION = {
    "stickiness": "after the recorded turn",
    "self_stickiness": "after its own turn",
    "lift": "beyond chance",
}
_WORDING = {
    "top_opening": "same opening",
    "distinct_2": "different word pairs",
    "truncated": "cut off",
    "habit/lived_experience": "claims to have lived",
}
_PROBES = {"probe/all": "all probes", "probe/crisis": "crisis", "probe/human_claim": "honesty"}
_BATCH = {"reply/top_opening": "same opening", "reply/distinct_2": "different word pairs"}


def validation_section(data: ReportData) -> str:
    """What validations have measured and which step was chosen; alarms of the training batches."""
    body = []
    warnings = list(_warnings(data))
    if warnings:
        items = "".join(f"<li>{text(warning)}</li>" for warning in warnings)
        body.append(f'<aside class="watch"><h3>Look out for</h3><ul>{items}</ul></aside>')
    if data.validations:
        body += ["<h3>Validated steps</h3>", _table(data)]
    else:
        body.append(
            missing("This run did not validate during training (mint.validation.every_steps).")
        )
    figures = [*_figures(data), *_batch(data)]
    if figures:
        body += ["<h3>Curves</h3>", _grid(figures)]
    lead = "" if data.best is None else f"Chosen: {text(_chosen_words(data.best))}."
    return section("validation", _TITLE, "".join(body), lead)


def alarm_spans(metrics: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, int]]:
    """First and last step of each stretch in which an alarm was on."""
    spans: list[tuple[int, int]] = []
    was_on = False
    for row in metrics:
        key = f"{ALARM}{name}"
        on = key in row and bool(row[key])
        if on and was_on:
            spans[-1] = (spans[-1][0], row["step"])
        elif on:
            spans.append((row["step"], row["step"]))
        was_on = on
    return spans


def _warnings(data: ReportData) -> Iterator[str]:
    manifest = data.manifest or {}
    if "export" in manifest and manifest["export"]["warning"]:
        yield manifest["export"]["warning"]
    if "stopped" in manifest and manifest["stopped"] is not None:
        yield f"Training ended early: {manifest['stopped']['reason']}."
    for key, name in KEYS.items():
        for first, last in alarm_spans(data.metrics, name):
            when = f"step {first}" if first == last else f"steps {first} to {last}"
            yield f"Collapse alarm for {name.replace('_', ' ')} ({key}) at {when}."


def _chosen_words(best: Mapping[str, Any]) -> str:
    if best["step"] is None:
        return f"no step; {best['reason']}"
    return f"step {best['step']}, {best['reason']}"


def _figures(data: ReportData) -> list[str]:
    if not data.validations:
        return []
    shown = [
        _score(data),
        _curves(
            data,
            "Repetition of tactics",
            _REPETITION,
            Axes(
                description="Repetition of tactics at each validation.",
                unit="share of tactics repeated; difference of shares",
            ),
            "Held-out turns. Beyond chance: 0 means that a tactic is no likelier after itself.",
        ),
        _curves(
            data,
            "Habits of wording",
            _WORDING,
            Axes(
                description="Habits of wording at each validation.",
                unit="share of replies; of word pairs",
                low=0.0,
                high=1.0,
            ),
            "What a policy does when it learns to please a grader: it opens every reply alike and "
            "says the same words. Limits on these decide which steps may be chosen.",
        ),
        _curves(
            data,
            "Safety probes passed",
            _PROBES,
            Axes(
                description="Share of safety probes passed at each validation.",
                unit="share of probes",
                low=0.0,
                high=1.0,
            ),
            "A fixed, small set of the shipped probes, checked by rules: read the trend, and "
            "evaluate the chosen step on all of them.",
        ),
    ]
    return [one for one in shown if one]


def _score(data: ReportData) -> str:
    steps = [validation.step for validation in data.validations]
    chosen = None if data.best is None else data.best["step"]
    marked = tuple(v.score if v.step == chosen else None for v in data.validations)
    series = [Series(name="score", values=tuple(v.score for v in data.validations))]
    if chosen is not None:
        series.append(Series(name=f"chosen: step {chosen}", values=marked, style="c1"))
    axes = Axes(description="Score of each validation, what steps are chosen by.", unit="score")
    return figure(
        "Score of the validated steps",
        svg.line_chart(steps, series, axes),
        "The stated composite (mint.validation.choose) on held-out conversations.",
    )


def _curves(
    data: ReportData, title: str, names: Mapping[str, str], axes: Axes, explanation: str
) -> str:
    steps = [validation.step for validation in data.validations]
    series = [
        Series(name=shown, values=tuple(_metric(v, key) for v in data.validations), style=f"c{i}")
        for i, (key, shown) in enumerate(names.items())
        if any(_metric(v, key) is not None for v in data.validations)
    ]
    if not series:
        return ""
    return figure(title, svg.line_chart(steps, series, axes), explanation)


def _batch(data: ReportData) -> list[str]:
    if not data.has(*_BATCH):
        return []
    series = [
        Series(name=shown, values=data.series(key), style=f"c{i}")
        for i, (key, shown) in enumerate(_BATCH.items())
    ]
    axes = Axes(
        description="Wording of each step's training replies.",
        unit="share of replies; of word pairs",
        low=0.0,
        high=1.0,
    )
    variety = figure(
        "Variety of the training replies",
        svg.line_chart(data.steps, series, axes),
        "What the collapse alarm watches in each batch (mint.collapse).",
    )
    entropy = [Series(name="entropy", values=data.series(ENTROPY))]
    lowest = Axes(description="Entropy of the policy in each step.", unit="nats", low=0.0)
    return [
        variety,
        figure(
            "Entropy of the policy",
            svg.line_chart(data.steps, entropy, lowest),
            "Of the next token, over the step's replies. A policy that has collapsed is near 0.",
        ),
    ]


def _table(data: ReportData) -> str:
    chosen = None if data.best is None else data.best["step"]
    rows = [
        [
            str(v.step) + (" (chosen)" if v.step == chosen else ""),
            number(v.score, 3),
            number(_metric(v, "empathy"), 2),
            number(_metric(v, "probe/all"), 2),
            "kept" if not v.broken else "<br>".join(text(line) for line in v.broken),
        ]
        for v in data.validations
    ]
    heads = ("Step", "Score", "Empathy", "Probes passed", "Limits")
    return table(heads, rows, "Validated steps with score and limits")


def _metric(validation: Validation, name: str) -> float | None:
    return validation.metrics[name] if name in validation.metrics else None


def _grid(figures: Sequence[str]) -> str:
    return f'<div class="grid">{"".join(figures)}</div>'
