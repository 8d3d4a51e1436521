"""Runs of `mint sft` and `mint prefer`: what was measured at the end, and the curves."""

from __future__ import annotations

from collections.abc import Iterator

from mint.config.schema import TUNING_COMMANDS
from mint.pages.html import (
    facts,
    grid,
    interval,
    listed,
    missing,
    number,
    section,
    spaced,
    table,
    text,
)
from mint.reporting.curves import CURVES
from mint.reporting.data import ReportData

_DEV = "dev/"
_SETTINGS = {
    "Model": "model.path",
    "Trained": "model.adapter",
    "Rank": "model.lora.r",
    "Learning rate": "loop.lr",
    "Samples a step": "batch.size",
    "Weights of the losses": "weights",
    "Beta": "dpo.beta",
    "Pairs": "pairs",
}


def tuned_by(data: ReportData) -> str | None:
    """The command whose run this is, of those that tune without VERL; None for any other run."""
    node = None if data.config is None or "mint" not in data.config else data.config.mint
    return next((name for name in TUNING_COMMANDS if node is not None and name in node), None)


def is_tuned(data: ReportData) -> bool:
    """Whether the run is one of supervised or preference training."""
    return tuned_by(data) is not None


def scores_section(data: ReportData) -> str:
    """Heads on the test files, and the dev metrics of the chosen step."""
    body = [_chosen(data)]
    tested = {} if data.scores is None else data.scores["test"]
    rows = [
        [
            text(spaced(head)),
            text(source),
            f"{number(result['accuracy'], 3)} "
            f"{interval(result['accuracy_low'], result['accuracy_high'], 3)}",
            number(result["weighted_f1"], 3),
            number(result["macro_f1"], 3),
            f"{result['num']:,}",
        ]
        for source, heads in tested.items()
        for head, result in heads.items()
    ]
    heads = ("Head", "Test file of", "Accuracy", "Weighted F1", "Macro-F1", "Samples")
    if rows:
        body.append(table(heads, rows, "Heads on the test files"))
    elif data.scores is None and tuned_by(data) == "sft":
        body.append(missing("Nothing was measured on test files yet."))
    lead = (
        "Test files are measured once, at the chosen step. Brackets hold Wilson's 95% interval "
        "over samples, not over training runs."
    )
    return section("scores", "What was learnt", "".join(body), lead)


def curves_section(data: ReportData) -> str:
    """Losses of the steps and measurements of the dev split."""
    steps = [curve for curve in CURVES["tuning"] if data.has(*curve.keys)]
    figures = [curve.draw(data.steps, data.table(curve.keys), {}) for curve in steps]
    return section("tuning", "Training", grid([*_measured(data), *figures]))


def settings_section(data: ReportData) -> str:
    """The settings that matter most; config.yaml has all."""
    values = {
        title: data.setting(f"mint.{tuned_by(data)}.{key}") for title, key in _SETTINGS.items()
    }
    shown = {title: text(value) for title, value in values.items() if value is not None}
    return section("settings", "Settings", facts(shown), "config.yaml has all of them.")


def _measured(data: ReportData) -> Iterator[str]:
    rows = [row for row in data.metrics if any(key.startswith(_DEV) for key in row)]
    for curve in CURVES["tuning_dev"]:
        values = {
            key: tuple(row[key] if key in row else None for row in rows) for key in curve.keys
        }
        if any(value is not None for own in values.values() for value in own):
            yield curve.draw([int(row["step"]) for row in rows], values, {})


def _chosen(data: ReportData) -> str:
    if data.best is None:
        return missing("No step was measured yet.")
    step = data.best["step"]
    row = next((row for row in data.metrics if row["step"] == step), {})
    lines = [
        f"{text(spaced(key.removeprefix(_DEV)))}: {number(value, 3)}"
        for key, value in row.items()
        if key.startswith(_DEV) and isinstance(value, float)
    ]
    return f"<p>Chosen: step {step}, on the dev split:</p>{listed(lines)}"
