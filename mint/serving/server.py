"""One server process with everything it starts: start, health, memory, stop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from mint.serving.probe import is_healthy
from mint.shell.processes import first_error, read_from

_LAST_LINES = 15
_END_S = 3.0
"""How long a process may take to end after a signal."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How to start a server and how to tell that it is healthy."""

    command: tuple[str, ...]
    environment: Callable[[Path], Mapping[str, str]]
    """What to add to the environment, given a folder for temporary files."""
    url: str
    """Where this machine reaches the server."""
    log: Path


class Memory(NamedTuple):
    """Memory of a server."""

    gib: float
    """Resident GiB; pages that processes share count once where the system tells them apart."""
    pids: tuple[int, ...]


class ServerProcess:
    """A server in a session of its own, so that all it starts can be found and ended."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: Path | None = None
        self._family: dict[int, psutil.Process] = {}
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Process id of the server; only while there is one."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; the log is continued."""
        self.stop()
        log_path = self.launch.log
        log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log_path.stat().st_size if log_path.exists() else 0
        # vLLM leaves sockets behind when it is killed; in a folder of ours they go with it.
        self._scratch = Path(tempfile.mkdtemp(prefix="mint-serve-"))
        launcher = [sys.executable, "-m", "mint.serving.launch", str(os.getpid())]
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*launcher, *self.launch.command],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.launch.environment(self._scratch)},
                start_new_session=True,
            )

    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        assert self._process is not None
        self._remember_family()
        return self._process.poll()

    def healthy(self) -> bool:
        """Whether GET /health answers 200 within 10 s."""
        return is_healthy(self.launch.url)

    def memory(self) -> Memory:
        """What it and everything it started take at present."""
        self._remember_family()
        sizes = {process.pid: _memory_bytes(process) for process in self._members()}
        return Memory(sum(sizes.values()) / 1024**3, tuple(sizes))

    def log_summary(self) -> str:
        """First error and last lines of what the server printed since its last start."""
        text = read_from(self.launch.log, self._log_start)
        lines = text.splitlines()[-_LAST_LINES:] or ["(no output)"]
        first = first_error(text)
        return "\n".join(
            [
                *([f"first error: {first}"] if first else []),
                f"{self.launch.log} ends with",
                *(f"  | {line[:300]}" for line in lines),
            ]
        )

    def stop(self, grace_s: float = 15.0) -> None:
        """End it and everything it started: politely, after `grace_s` seconds for good."""
        if self._process is None:
            return
        self._remember_family()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=grace_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        # Its own children end with it; what does not is ended here, also after a kill -9.
        alive = self._members()
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for member in alive:
                with suppress(psutil.Error):
                    end(member)
            alive = _wait_gone(alive, min(grace_s, _END_S))
        self._process.wait()
        self._process = None
        self._family.clear()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _remember_family(self) -> None:
        if self._process is None:
            return
        with suppress(psutil.Error):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                self._family[child.pid] = child

    def _members(self) -> list[psutil.Process]:
        """Every live process of the server: its session, and descendants that left it."""
        assert self._process is not None
        members = {pid: process for pid, process in self._family.items() if _alive(process)}
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self._process.pid and _alive(process):
                    members[process.pid] = process
            except (OSError, psutil.Error):
                continue
        return list(members.values())


def exit_reason(status: int) -> str:
    """What an exit status says about the end of a process."""
    if status >= 0:
        return f"it ended with status {status}"
    killed = " (out of memory, or killed by hand)" if status == -9 else ""
    return f"signal {-status} ended it{killed}"


def wait_s(seconds: float, stopped: Callable[[], bool]) -> None:
    """Sleep, but wake up when `stopped` becomes true."""
    end = time.monotonic() + seconds
    while not stopped() and time.monotonic() < end:
        time.sleep(min(0.2, max(0.0, end - time.monotonic())))


def _memory_bytes(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(full.pss if hasattr(full, "pss") else full.rss)
    except psutil.Error:
        return 0


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
