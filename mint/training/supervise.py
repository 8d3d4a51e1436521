"""Runs the training process and watches it: progress lines, real errors, no hangs, no leftovers.

verl hangs in places where it should fail (a worker error during a weight push, too few logical
CPUs). So training runs in a process of its own; this one reads the files it writes, prints a line
a step, and ends it, with everything it started, when it stops making progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mint.rundir.directory import RunDir
from mint.shell.files import read_json, read_json_lines
from mint.shell.processes import TrainingError, first_error
from mint.shell.session import Session
from rewards.errors import ConfigError, GraderError, MintError

_END_S = 5.0
"""How long processes may take to end after they were asked to."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a silent run counts as stuck, in seconds."""

    start_s: float
    """Until the first step has finished."""
    step_s: float
    """Between steps, and from the last step to the end."""
    exit_s: float = 60.0
    """From an error report to the end of the process."""


@dataclass
class _Watch:
    run: RunDir
    session: Session
    limits: Limits
    on_step: Callable[[dict[str, Any]], None]
    rows_seen: int
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
    """Run `command` to its end. Raises GraderError, ConfigError or TrainingError when it fails."""
    run.error_path.unlink(missing_ok=True)
    rows = len(read_json_lines(run.metrics_path))
    session = Session(command, run.log_path, environment)
    try:
        stuck = _follow(_Watch(run, session, limits, on_step, rows))
        status = session.exit_status()
    finally:
        session.stop(_END_S)
    if stuck or status != 0:
        raise _failure(run, session, stuck)


def _follow(watch: _Watch) -> str:
    """Until the process ends; returns why it is considered stuck, or ""."""
    while watch.session.exit_status() is None:
        time.sleep(0.2)
        _report_steps(watch)
        now = time.monotonic()
        if watch.run.error_path.exists():
            watch.error_seen = watch.error_seen or now
            if now - watch.error_seen > watch.limits.exit_s:
                return "it reported an error and did not end"
            continue
        limit = watch.limits.step_s if watch.steps else watch.limits.start_s
        if now - watch.last_progress > limit:
            what = "step" if watch.steps else "first step"
            return f"no {what} finished for {limit:.0f} s"
    _report_steps(watch)
    return ""


def _report_steps(watch: _Watch) -> None:
    rows = read_json_lines(watch.run.metrics_path)
    for row in rows[watch.rows_seen :]:
        watch.steps += 1
        watch.last_progress = time.monotonic()
        watch.on_step(row)
    watch.rows_seen = len(rows)


def _failure(run: RunDir, session: Session, stuck: str) -> MintError:
    log = f"(log: {run.log_path})"
    first = first_error(session.output())
    if run.error_path.exists():
        report = read_json(run.error_path)
        message = f"{report['message']} {log}"
        if report["kind"] == "GraderError":
            return GraderError(message)
        if report["kind"] in ("ConfigError", "DataError"):
            return ConfigError(message)
        if first and first not in message and report["kind"] != "TrainingError":
            message = f"{report['message']}; first error in the log: {first} {log}"
        return TrainingError(message)
    cause = first or "no error in the log"
    if stuck:
        return TrainingError(f"training stopped because {stuck}; first error: {cause} {log}")
    status = session.exit_status()
    return TrainingError(f"the training process ended with status {status}: {cause} {log}")
