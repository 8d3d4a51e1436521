"""The validations of a run in its directory: RUN/validation.jsonl, RUN/best.json,
RUN/stopped.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mint.config.validation import ValidationConfig
from mint.rundir.directory import RunDir
from mint.shell.files import (
    append_json_lines,
    read_json_if_there,
    read_json_lines,
    write_json,
    write_json_lines,
)
from mint.validation.choice import Validation, best, explain

PATIENCE, COLLAPSE = "patience", "collapse"


class Stopped(NamedTuple):
    """Why training ended before its last step."""

    step: int
    kind: str
    """patience or collapse."""
    reason: str


class ExportChoice(NamedTuple):
    """Which checkpoint becomes RUN/model."""

    which: str
    """best or last."""
    step: int | None
    """None: the newest."""
    reason: str
    warning: str
    """What a person must know before using the model; "" when all is well."""


class ValidationRecord:
    """The validations so far; every change is on disk before the call returns."""

    def __init__(self, run: RunDir, settings: ValidationConfig) -> None:
        self._run = run
        self._settings = settings
        self._validations: list[Validation] = []

    def begin(self, step: int) -> None:
        """Start after `step`: validations of later steps, made before an interruption, are
        dropped because these steps are trained again."""
        self._run.stopped_path.unlink(missing_ok=True)
        known = read_validations(self._run)
        self._validations = [v for v in known if v.step <= step]
        if len(known) != len(self._validations):
            write_json_lines(self._run.validations_path, (v.as_row() for v in self._validations))
        if known:
            self._write_best()

    def add(self, validation: Validation) -> list[Validation]:
        """Record a validation; returns all of them."""
        append_json_lines(self._run.validations_path, [validation.as_row()])
        self._validations.append(validation)
        self._write_best()
        return list(self._validations)

    @property
    def validations(self) -> tuple[Validation, ...]:
        """Those so far, by step."""
        return tuple(self._validations)

    @property
    def best_step(self) -> int | None:
        """The step to keep; None while no validated step keeps the limits."""
        chosen = best(self._validations)
        return None if chosen is None else chosen.step

    def _write_best(self) -> None:
        write_json(self._run.best_path, explain(self._validations, self._settings))


def read_validations(run: RunDir) -> list[Validation]:
    """The validations of a run, by step; of one made twice the later."""
    rows = [Validation.from_row(row) for row in read_json_lines(run.validations_path)]
    by_step = {validation.step: validation for validation in rows}
    return [by_step[step] for step in sorted(by_step)]


def write_stopped(run: RunDir, stopped: Stopped) -> None:
    """Leave the reason of an early end for the process that supervises."""
    write_json(run.stopped_path, stopped._asdict())


def read_stopped(run: RunDir) -> Stopped | None:
    """Why training ended early; None when it did not."""
    row = read_json_if_there(run.stopped_path)
    return None if row is None else Stopped(**row)


def choose_export(
    wanted: str, chosen: Mapping[str, Any] | None, available: Mapping[int, Any]
) -> ExportChoice:
    """What to export. `wanted` is mint.run.export, `chosen` the content of best.json (None: the
    run did not validate), `available` has the steps of the checkpoints at hand."""
    step, reason, warning = None, "", ""
    if wanted == "last":
        reason = "mint.run.export=last"
    elif chosen is None:
        reason = "no validation during training"
    elif chosen["step"] is None:
        reason = chosen["reason"]
        warning = f"{reason}; RUN/model is the last step and breaks them too: see best.json"
    elif chosen["step"] not in available:
        reason = f"the checkpoint of the best step {chosen['step']} is gone"
        warning = f"{reason}; RUN/model is the last step"
    else:
        step, reason = chosen["step"], chosen["reason"]
    return ExportChoice("last" if step is None else "best", step, reason, warning)
