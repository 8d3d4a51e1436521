"""A process in a session of its own, so that all it starts can be found and ended."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from mint.shell.processes import read_from

_END_S = 3.0
"""How long a process may take to end after a signal."""
_SCAN_S = 2.0
"""How often children are looked for: it takes a look at every process of the machine."""


class Session:
    """A running command with everything it starts; its output is added to a log."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        """Start `command` with `environment` on top of this process's own."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        self._family: dict[int, psutil.Process] = {}
        self._scanned = float("-inf")
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self.pid = self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it. Ask often: what leaves the
        session, as Ray's daemons do, is found only while its parent lives."""
        status = self._process.poll()
        if status is None and time.monotonic() - self._scanned > _SCAN_S:
            self._scan()
        return status

    def output(self) -> str:
        """What it has printed since it started."""
        return read_from(self._log, self._log_start)

    def _scan(self) -> None:
        self._scanned = time.monotonic()
        with suppress(psutil.Error):
            for child in psutil.Process(self.pid).children(recursive=True):
                self._family[child.pid] = child

    def members(self) -> list[psutil.Process]:
        """Every live process of it: its session, and descendants that left it."""
        self._scan()
        members = {pid: process for pid, process in self._family.items() if _alive(process)}
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if os.getsid(process.pid) == self.pid and _alive(process):
                    members[process.pid] = process
        return list(members.values())

    def stop(self, grace_s: float) -> None:
        """End it and everything it started: politely, after `grace_s` seconds for good."""
        if self.exit_status() is None:
            self._scan()  # while their parents live
            self._process.terminate()
            try:
                self._process.wait(timeout=grace_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        # Its own children end with it; what does not is ended here, also after a kill -9.
        alive = self.members()
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for member in alive:
                with suppress(psutil.Error):
                    end(member)
            alive = _wait_gone(alive, min(grace_s, _END_S))
        self._process.wait()


def _wait_gone(processes: Iterable[psutil.Process], limit_s: float) -> list[psutil.Process]:
    """Those that are still alive after at most `limit_s` seconds."""
    end = time.monotonic() + limit_s
    alive = [process for process in processes if _alive(process)]
    while alive and time.monotonic() < end:
        time.sleep(0.05)
        alive = [process for process in alive if _alive(process)]
    return alive


def _alive(process: psutil.Process) -> bool:
    # A container without an init keeps ended orphans as zombies for good.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
