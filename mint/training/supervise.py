"""Runs the training process and watches it: progress lines, real errors, no hangs, no leftovers.

verl hangs in places where it should fail (a worker error during a weight push, too few logical
CPUs). So training runs in a process of its own; this one reads the files it writes, prints a line
a step, and ends it, with everything it started, when it stops making progress.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mint.rundir.directory import RunDir
from mint.shell import guard
from mint.shell.files import read_json
from mint.shell.processes import TrainingError, first_error
from mint.shell.session import Session
from mint.shell.tail import JsonLinesTail
from mint.training.start import Start
from rewards.errors import ConfigError, GraderError, MintError

_FULL_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a silent run counts as stuck, in seconds."""

    start_s: float
    """In the longest phase of the start; others have a share of it (`mint.verl.phases`)."""
    step_s: float
    """In a part of the first step, between steps, and from the last step to the end."""
    exit_s: float = 30.0
    """From an error report to the end of the process."""


@dataclass
class _Watch:
    run: RunDir
    session: Session
    limits: Limits
    on_step: Callable[[dict[str, Any]], None]
    start: Start
    metrics: JsonLinesTail
    steps: int = 0
    last_progress: float = field(default_factory=time.monotonic)
    error_seen: float | None = None


def supervise(
    run: RunDir,
    command: list[str],
    environment: Mapping[str, str],
    limits: Limits,
    on_step: Callable[[dict[str, Any]], None],
) -> None:
    """Run `command` to its end. Raises GraderError, ConfigError or TrainingError when it fails.

    However this ends, by an exception or a kill -9 of this process, nothing that `command` has
    started is left.
    """
    run.error_path.unlink(missing_ok=True)
    start, metrics = Start(run), JsonLinesTail(run.metrics_path)
    session = Session(guard.guarded(command), run.log_path, environment)
    try:
        stuck = _follow(_Watch(run, session, limits, on_step, start, metrics))
        status = session.exit_status()
    finally:
        session.stop(guard.END_S)
    if stuck or status != 0:
        raise _failure(run, session, stuck)


def _follow(watch: _Watch) -> str:
    """Until the process ends; returns why it is considered stuck, or ""."""
    while watch.session.exit_status() is None:
        time.sleep(0.2)
        _report(watch)
        now = time.monotonic()
        if watch.run.error_path.exists():
            watch.error_seen = watch.error_seen or now
            if now - watch.error_seen > watch.limits.exit_s:
                return "it reported an error and did not end"
            continue
        if watch.steps:
            if now - watch.last_progress > watch.limits.step_s:
                return f"no step finished for {watch.limits.step_s:.0f} s"
        elif stuck := watch.start.stuck(
            now - watch.last_progress, watch.limits.start_s, watch.limits.step_s
        ):
            return stuck
    _report(watch)
    return ""


def _report(watch: _Watch) -> None:
    if not watch.steps and watch.start.report():
        watch.last_progress = time.monotonic()
    for row in watch.metrics.rows():
        if not watch.steps:
            watch.start.finish()
        watch.steps += 1
        watch.last_progress = time.monotonic()
        watch.on_step(row)


def _failure(run: RunDir, session: Session, stuck: str) -> MintError:
    log = f"(log: {run.log_path})"
    # What libraries say of a full disk is rarely that it is full.
    full, first = _full_disk(run), first_error(session.output())
    if run.error_path.exists() and run.error_path.stat().st_size:
        report = read_json(run.error_path)
        message = f"{report['message']} {log}"
        if report["kind"] == "GraderError":
            return GraderError(message)
        if report["kind"] in ("ConfigError", "DataError"):
            return ConfigError(message)
        if full and full not in message:
            message = f"{full}; {message}"
        elif first and first not in message and report["kind"] != "TrainingError":
            message = f"{report['message']}; first error in the log: {first} {log}"
        return TrainingError(message)
    cause = full or first or "no error in the log"
    if stuck:
        return TrainingError(f"training stopped because {stuck}; first error: {cause} {log}")
    status = session.exit_status()
    return TrainingError(f"the training process ended with status {status}: {cause} {log}")


def _full_disk(run: RunDir) -> str:
    """That the disk is full; "" when it is not."""
    free = shutil.disk_usage(run.path).free
    return f"{os.strerror(errno.ENOSPC)}: {run.path}" if free < _FULL_BYTES else ""
