"""The run directory of a tuned model, in the layout of training runs: opened, closed, reported."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mint.policy.model_files import model_fingerprint
from mint.reporting.run import write_report
from mint.rundir.cutting import cut_after
from mint.rundir.directory import RunDir
from mint.rundir.manifest import (
    RunFacts,
    amend_manifest,
    finish_manifest,
    made_by,
    read_manifest,
    resume_manifest,
    start_manifest,
)
from mint.rundir.resume import changed_data
from mint.shell.console import say
from mint.shell.files import check_can_write, write_json, write_text_atomic
from mint.shell.signals import Signalled, on_signal, signals_raise
from mint.shell.statuses import FINISHED, SAVED
from mint.tuning.checkpoint import checkpoints
from mint.tuning.command import Asked, as_yaml
from mint.tuning.loop import Tuned
from rewards.errors import ConfigError

SAVED_STATE = "saved"


def check_run(asked: Asked) -> None:
    """A new run needs a free folder, one that goes on must not be finished. Raises ConfigError."""
    run = asked.run
    if asked.resumed and run.is_begun and read_manifest(run)["status"] == "finished":
        raise ConfigError(f"the run in {run.path} is finished; start a new one to train more")
    if not asked.resumed and not run.is_free:
        raise ConfigError(
            f"run directory {run.path} already exists; choose another run.dir, or continue it with "
            f"resume={run.path}"
        )
    check_can_write(run.path, "run.dir")


@contextmanager
def opened(
    asked: Asked, command: str, model: str, data_files: Sequence[Path]
) -> Iterator[Callable[[], bool]]:
    """The run directory while it is worked in, with its manifest; gives what asks whether SIGUSR1
    has come: save after this step and end.

    A run that goes on is cut to its newest checkpoint. Raises ConfigError for one whose data or
    starting model are not what they were.
    """
    run = asked.run if asked.resumed else RunDir.create(asked.run.path)
    asked_to_save: list[bool] = []
    with run.claimed(), signals_raise():
        _open(asked, run, command, model, data_files)
        say(f"run directory {run.path}")
        try:
            with on_signal(signal.SIGUSR1, lambda: asked_to_save.append(True)):
                yield lambda: bool(asked_to_save)
        except BaseException as error:
            finish_manifest(run, str(error) if isinstance(error, Signalled) else error)
            raise


def finish(run: RunDir, tuned: Tuned, facts: Mapping[str, Any]) -> int:
    """Close the manifest and write the report page; returns the exit status."""
    finish_manifest(run)
    if tuned.saved:
        amend_manifest(run, {"status": SAVED_STATE})
        say(f"saved after step {tuned.step} and ended, as asked; go on with resume={run.path}")
        return SAVED
    if tuned.stopped:
        say(f"training ended early: {tuned.stopped}")
        stopped = {"kind": "patience", "step": tuned.step, "reason": tuned.stopped}
        write_json(run.stopped_path, stopped)
    say(f"RUN/model is step {tuned.best_step} of {tuned.total}, the best on the dev split")
    choice = {"step": tuned.best_step, "which": "best", "reason": "dev score", "warning": None}
    amend_manifest(run, {"export": choice, **facts})
    say(f"report: {write_report(run)}")
    return FINISHED


def _open(asked: Asked, run: RunDir, command: str, model: str, data_files: Sequence[Path]) -> None:
    line = ["python", "-m", f"mint.{command}", *asked.overrides]
    if asked.resumed and run.is_begun:
        _check_same(run, model, data_files)
        step = max(checkpoints(run.checkpoints_path), default=0)
        for name, rows in cut_after(run, step if step else -1).items():
            say(f"{name}: {rows} rows after step {step} dropped")
        resume_manifest(run, line, from_step=step, config_diff={})
        return
    write_text_atomic(run.config_path, as_yaml(asked.settings, command))
    facts = RunFacts(
        command=line,
        seeds={"run": asked.settings.run.seed},
        data_files=data_files,
        recipe=asked.recipe,
        model=model_fingerprint(model),
        begun_from=made_by(model),
    )
    start_manifest(run, facts)


def _check_same(run: RunDir, model: str, data_files: Sequence[Path]) -> None:
    manifest = read_manifest(run)
    for path, (then, now) in changed_data(manifest, [str(path) for path in data_files]).items():
        raise ConfigError(
            f"{path} is not what this run was started with (sha256 {then[:12]} -> {now[:12]}); put "
            "that file back, or start a new run"
        )
    then, now_model = manifest["model"], model_fingerprint(model)
    if then is not None and now_model is not None and then != now_model:
        raise ConfigError(
            f"model.path={model} is not what this run was started with ({then[:12]} -> "
            f"{now_model[:12]}); put that model back, or start a new run"
        )
