"""One server process with everything it starts: start, health, memory, stop."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from mint.machine.limits import GIB
from mint.serving.probe import is_healthy
from mint.shell.processes import first_error
from mint.shell.session import Session

_LAST_LINES = 15


class Memory(NamedTuple):
    """Memory of a server."""

    gib: float
    """Resident GiB; pages that processes share count once where the system tells them apart."""
    pids: tuple[int, ...]


@dataclass(kw_only=True)
class ServerProcess:
    """A server that can be started again and again."""

    command: Sequence[str]
    environment: Callable[[Path], Mapping[str, str]]
    """What to add to the environment, given a folder for temporary files."""
    url: str
    """Where this machine reaches the server."""
    log: Path
    _running: Session | None = field(default=None, init=False)
    _scratch: Path | None = field(default=None, init=False)

    @property
    def session(self) -> Session:
        """The server's processes; only while there are any."""
        assert self._running is not None
        return self._running

    def start(self) -> None:
        """Start it; the log is continued."""
        self.stop()
        # vLLM leaves sockets behind when it is killed; in a folder of ours they go with it.
        self._scratch = Path(tempfile.mkdtemp(prefix="mint-serve-"))
        launcher = [sys.executable, "-m", "mint.serving.launch", str(os.getpid())]
        environment = self.environment(self._scratch)
        self._running = Session([*launcher, *self.command], self.log, environment)

    def healthy(self) -> bool:
        """Whether GET /health answers 200 within 10 s."""
        return is_healthy(self.url)

    def memory(self) -> Memory:
        """What it and everything it started take at present."""
        sizes = {process.pid: _memory_bytes(process) for process in self.session.members()}
        return Memory(sum(sizes.values()) / GIB, tuple(sizes))

    def log_summary(self) -> str:
        """First error and last lines of what the server printed since its last start."""
        text = self.session.output()
        lines = text.splitlines()[-_LAST_LINES:] or ["(no output)"]
        first = first_error(text)
        return "\n".join(
            [
                *([f"first error: {first}"] if first else []),
                f"{self.log} ends with",
                *(f"  | {line[:300]}" for line in lines),
            ]
        )

    def stop(self, grace_s: float = 15.0) -> None:
        """End it and everything it started: politely, after `grace_s` seconds for good."""
        if self._running is not None:
            self._running.stop(grace_s)
            self._running = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None


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
