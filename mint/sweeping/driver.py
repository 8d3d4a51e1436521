"""Runs the jobs of a sweep to their ends, each as a process of its own.

A job that fails ends no other. Jobs that are finished are left alone, those that were broken go on
from their newest checkpoint, or anew when they have none. SIGTERM, SIGINT and SIGHUP end all jobs;
SIGUSR1 is handed on to them, and no further one is started.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from mint.rundir.directory import RunDir
from mint.shell.console import say
from mint.shell.files import read_json_if_there, utc_now
from mint.shell.processes import python_module, read_from
from mint.shell.session import Session
from mint.shell.signals import handlers, heard
from mint.shell.statuses import COLLAPSED, SAVED
from mint.sweeping import record as states
from mint.sweeping.child import BUSY
from mint.sweeping.ends import reason_of, worst
from mint.sweeping.gpus import VISIBLE, Pool, need_of
from mint.sweeping.jobs import Job
from mint.sweeping.locks import is_held, lock_path, locked
from mint.sweeping.record import Record
from mint.sweeping.starts import arguments_of

_GRACE_S = 30.0
"""How long jobs may take to end once they were asked to."""
_POLL_S = 0.3
_STILL_ENDING_S = 60.0
"""How long the process of a driver that was killed may take to let go of its job."""


class Source(Protocol):
    """Where jobs come from."""

    def next(self) -> Job | None:
        """The next one to run; None while there is none."""

    def ended(self, job: Job, state: str) -> None:
        """A job has ended, or was found ended already."""


class Listed:
    """Jobs of a list, in order."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = iter(jobs)

    def next(self) -> Job | None:
        """See `Source`."""
        return next(self._jobs, None)

    def ended(self, job: Job, state: str) -> None:
        """See `Source`."""


@dataclass
class _Running:
    job: Job
    session: Session
    gpus: tuple[str, ...]
    log: Path
    shown: int
    """Bytes of the log that were printed."""
    start: int
    began: float = field(default_factory=time.monotonic)


class Driver:
    """Runs what `source` gives; `module` is the command that trains."""

    def __init__(
        self, record: Record, source: Source, pool: Pool, module: str = "mint.train"
    ) -> None:
        self._record = record
        self._source = source
        self._pool = pool
        self._module = module
        self._running: list[_Running] = []
        self._waiting: Job | None = None
        self._statuses: list[int] = []
        self._signal: int | None = None
        self._draining = False

    def run(self) -> int:
        """Until every job has ended. Returns the worst exit status, 128 + signal when ended by
        one, SAVED when SIGUSR1 has left jobs to go on with."""
        with handlers({**dict.fromkeys(heard(), self._end), signal.SIGUSR1: self._drain}):
            try:
                while self._signal is None:
                    self._start_jobs()
                    if not self._running:
                        break
                    time.sleep(_POLL_S)
                    self._look()
                if self._signal is not None:
                    return self._stop_all(self._signal)
            finally:
                self._kill_left()
        if self._draining and any(row["state"] != states.FINISHED for row in self._rows()):
            self._statuses.append(SAVED)
        return worst(self._statuses)

    @property
    def was_ended(self) -> bool:
        """Whether a signal has ended this process, not just one of its jobs."""
        return self._signal is not None

    def _rows(self) -> list[dict[str, Any]]:
        return list(self._record.read()["jobs"].values())

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._signal = self._signal or number

    def _drain(self, _number: int, _frame: FrameType | None) -> None:
        self._draining = True
        for one in self._running:
            _tell(one, signal.SIGUSR1)

    def _start_jobs(self) -> None:
        while self._signal is None and not self._draining:
            self._waiting = self._waiting or self._source.next()
            if self._waiting is None:
                return
            job, row = self._waiting, self._record.row(self._waiting.name)
            if states.state_of(job.folder, row) == states.FINISHED:
                self._waiting = None
                self._skip(job, row)
                continue
            gpus = self._pool.take(need_of(job.config))
            if gpus is None:
                return
            self._waiting = None
            if not self._start(job, gpus):
                self._pool.give_back(gpus)

    def _skip(self, job: Job, row: dict[str, Any]) -> None:
        _say(f"[{job.label}] is finished already ({job.folder})")
        self._statuses.append(states.status_of(job.folder, row))
        self._record.note(job.name, state=states.FINISHED)
        self._source.ended(job, states.FINISHED)

    def _start(self, job: Job, gpus: tuple[str, ...]) -> bool:
        lock = lock_path(self._record.folder, job.name)
        if not self._is_free(lock, job):
            return False
        with locked(lock, wait=False) as mine:  # or two drivers might move the same files
            if not mine:
                return False
            arguments, how = arguments_of(job)
        log = self._record.folder / "logs" / f"{job.name}.log"
        start = log.stat().st_size if log.exists() else 0
        attempts = int(self._record.row(job.name)["attempts"]) + 1
        self._record.note(
            job.name,
            state=states.RUNNING,
            attempts=attempts,
            started=utc_now(),
            ended=None,
            status=None,
            error=None,
            driver=states.driver(),
            gpus=list(gpus),
            digest=job.digest,
        )
        command = python_module(
            "mint.sweeping.child", str(lock), str(os.getpid()), self._module, *arguments
        )
        environment = {VISIBLE: ",".join(gpus)} if gpus else {}
        session = Session(command, log, environment)
        on = f" on GPU {', '.join(gpus)}" if gpus else ""
        _say(f"[{job.label}] {how}{on}: {job.folder} (log: {log})")
        self._running.append(_Running(job, session, gpus, log, start, start))
        if self._draining:
            _tell(self._running[-1], signal.SIGUSR1)
        return True

    def _is_free(self, lock: Path, job: Job) -> bool:
        """Whether no process has the job; one that is ending is waited for."""
        end = time.monotonic() + _STILL_ENDING_S
        owner = self._record.row(job.name).get("driver")
        while is_held(lock):
            if self._signal is not None or time.monotonic() > end or _lives(owner):
                _say(f"[{job.label}] is being run by another process and left to it")
                return False
            time.sleep(_POLL_S)
        return True

    def _look(self) -> None:
        for one in list(self._running):
            status = one.session.exit_status()
            self._print(one)
            if status is not None:
                self._running.remove(one)
                one.session.stop(_GRACE_S)
                self._ended(one, status)

    def _print(self, one: _Running, rest: bool = False) -> None:
        """Whole lines that a job has printed since the last look."""
        with one.log.open("rb") as file:
            file.seek(one.shown)
            text = file.read()
        whole = text if rest else text[: text.rfind(b"\n") + 1]
        one.shown += len(whole)
        for line in whole.decode("utf-8", errors="replace").splitlines():
            _say(f"[{one.job.label}] {line}")

    def _ended(self, one: _Running, status: int) -> None:
        self._print(one, rest=True)
        self._pool.give_back(one.gpus)
        status = status if status >= 0 else 128 - status
        if status == BUSY:
            _say(f"[{one.job.label}] is being run by another process and left to it")
            return
        state, error = self._verdict(one, status)
        self._statuses.append(status if status else int(state == states.FAILED))
        self._record.note(one.job.name, state=state, status=status, error=error, ended=utc_now())
        minutes = (time.monotonic() - one.began) / 60
        said = f"{state} after {minutes:.1f} min"
        _say(f"[{one.job.label}] {said}" + (f", status {status}: {error}" if error else ""))
        self._source.ended(one.job, state)

    def _verdict(self, one: _Running, status: int) -> tuple[str, str | None]:
        """State and reason of a job that has ended."""
        manifest = read_json_if_there(RunDir(one.job.folder).manifest_path)
        finished = manifest is not None and manifest["status"] == "finished"
        if status in (0, COLLAPSED) and finished:
            return states.FINISHED, "the collapse alarm ended it" if status else None
        reason = reason_of(read_from(one.log, one.start), status)
        if status == 0:
            reason = f"it ended with status 0, but no finished run is in {one.job.folder}"
        asked = self._draining or self._signal is not None or status == SAVED
        return states.STOPPED if asked else states.FAILED, reason

    def _stop_all(self, number: int) -> int:
        name = signal.Signals(number).name
        _say(f"{name}: ending {len(self._running)} running job(s)")
        for one in self._running:
            _tell(one, signal.SIGTERM)
        for one in list(self._running):
            one.session.stop(_GRACE_S)
            self._running.remove(one)
            self._print(one, rest=True)
            self._record.note(
                one.job.name,
                state=states.STOPPED,
                status=128 + number,
                error=f"the sweep was ended by {name}",
                ended=utc_now(),
            )
            _say(f"[{one.job.label}] ended")
        _say(f"the sweep was ended by {name}; the same command goes on with it")
        return 128 + number

    def _kill_left(self) -> None:
        """What an error in this process has left running."""
        for one in self._running:
            one.session.stop(_GRACE_S)


def _tell(one: _Running, sign: signal.Signals) -> None:
    with suppress(OSError):
        os.kill(one.session.pid, sign)


def _say(line: str) -> None:
    """Print a line, if there is still somebody to print to."""
    with suppress(OSError):
        say(line)


def _lives(driver: dict[str, object] | None) -> bool:
    """Whether the driver of a job is another process that lives, as far as can be seen here."""
    here = states.driver()
    if driver is None or driver["host"] != here["host"]:
        return driver is not None
    pid = int(str(driver["pid"]))
    return pid != here["pid"] and Path(f"/proc/{pid}").exists()
