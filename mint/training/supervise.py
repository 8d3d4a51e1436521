"""Runs the training process and watches it: progress lines, real errors, no hangs, no leftovers.

verl hangs in places where it should fail (a worker error during a weight push, too few logical
CPUs). So training runs in a process of its own; this one reads the files it writes, prints a line
a step, and ends it, with everything it started, when it stops making progress.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from mint.rundir.directory import RunDir
from mint.shell.files import read_json, read_json_lines
from mint.shell.processes import TrainingError, end_family, first_error, read_from
from rewards.errors import ConfigError, GraderError, MintError


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
    process: subprocess.Popen[bytes]
    limits: Limits
    on_step: Callable[[dict[str, Any]], None]
    log_start: int
    rows_seen: int
    steps: int = 0
    last_progress: float = field(default_factory=time.monotonic)
    error_seen: float | None = None
    family: dict[int, psutil.Process] = field(default_factory=dict)


def supervise(
    run: RunDir,
    command: list[str],
    environment: Mapping[str, str],
    limits: Limits,
    on_step: Callable[[dict[str, Any]], None],
) -> None:
    """Run `command` to its end. Raises GraderError, ConfigError or TrainingError when it fails."""
    run.error_path.unlink(missing_ok=True)
    log_start = run.log_path.stat().st_size if run.log_path.exists() else 0
    rows = len(read_json_lines(run.metrics_path))
    with run.log_path.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    watch = _Watch(run, process, limits, on_step, log_start, rows)
    try:
        stuck = _follow(watch)
    finally:
        end_family(watch.family, process)
    if stuck or process.returncode != 0:
        raise _failure(watch, stuck)


def _follow(watch: _Watch) -> str:
    """Until the process ends; returns why it is considered stuck, or ""."""
    while watch.process.poll() is None:
        time.sleep(0.2)
        _remember_family(watch)
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


def _remember_family(watch: _Watch) -> None:
    # Ray's daemons and vLLM's workers move to other parents when theirs dies, so note them now.
    try:
        for child in psutil.Process(watch.process.pid).children(recursive=True):
            watch.family[child.pid] = child
    except psutil.Error:
        pass


def _failure(watch: _Watch, stuck: str) -> MintError:
    log = f"(log: {watch.run.log_path})"
    if watch.run.error_path.exists():
        report = read_json(watch.run.error_path)
        message = f"{report['message']} {log}"
        if report["kind"] == "GraderError":
            return GraderError(message)
        if report["kind"] in ("ConfigError", "DataError"):
            return ConfigError(message)
        first = first_error(read_from(watch.run.log_path, watch.log_start))
        if first and first not in message:
            message = f"{report['message']}; first error in the log: {first} {log}"
        return TrainingError(message)
    text = read_from(watch.run.log_path, watch.log_start)
    cause = first_error(text) or "no error in the log"
    if stuck:
        return TrainingError(f"training stopped because {stuck}; first error: {cause} {log}")
    return TrainingError(
        f"the training process ended with status {watch.process.returncode}: {cause} {log}"
    )
