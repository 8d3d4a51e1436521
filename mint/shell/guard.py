"""Runs a command for a process and outlives neither: `python -m mint.shell.guard PID COMMAND...`.

When the process PID (its parent) is gone, killed outright or not, or asks it to end (SIGTERM), the
guard ends the command and everything the command has started. When the command ends by itself, what
it has left running is ended too, and the guard ends with its status. On Linux orphans are handed to
the guard by the kernel, so daemons that left the session are found as well.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import NoReturn

import psutil

from mint.shell.signals import ENDING

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_POLITE_S, _ORPHANS_S, _KILLED_S = 4.0, 1.5, 3.0
"""How long the command, then what it left, may take to end; and what was killed, to be gone."""

END_S = 12.0
"""How long a guard takes to end everything at most, with some room."""


def guarded(command: Sequence[str]) -> list[str]:
    """Command line of a guard of this process for `command`."""
    return [sys.executable, "-m", "mint.shell.guard", str(os.getpid()), *command]


def run_guarded(command: Sequence[str]) -> int:
    """Exit status of a command that ends when this process does, or when it raises meanwhile."""
    with beside(command) as guard:
        return guard.wait()


@contextmanager
def beside(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs while the block does, and ends with it or with this process."""
    # In a session of its own: a Ctrl-C, which goes to the whole group, is for this process.
    guard = subprocess.Popen(guarded(command), start_new_session=True)
    try:
        yield guard
    finally:
        if guard.poll() is None:
            guard.terminate()
            with suppress(subprocess.TimeoutExpired):
                guard.wait(END_S)
            guard.kill()


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies. Ends at once if `parent` is gone already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def main(argv: Sequence[str]) -> int:
    """Exit status: the command's, or 128 + n after signal n."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    waited = {signal.SIGCHLD, *ENDING}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    die_with_parent(int(argv[0]))
    command = _start(argv[1:])
    status = None
    asked = 0
    while status is None and not asked:
        number = signal.sigwait(waited)
        status = _reap().get(command)
        asked = 0 if number == signal.SIGCHLD else number
    _end_everything(command if status is None else None)
    if status is None:
        return 128 + asked
    if os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    return os.WEXITSTATUS(status)


def _start(command: Sequence[str]) -> int:
    guard = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            die_with_parent(guard)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execvp(command[0], list(command))
        except OSError as error:
            print(f"error: {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        finally:
            os._exit(127)
    return pid


def _end_everything(command: int | None) -> None:
    """End the command, when it is still there, and all descendants: politely, then for good."""
    if command is not None:
        with suppress(ProcessLookupError):
            os.kill(command, signal.SIGTERM)
        _wait(lambda: command in _reap(), _POLITE_S)
    for number, patience in ((signal.SIGTERM, _ORPHANS_S), (signal.SIGKILL, _KILLED_S)):
        told: set[int] = set()
        _wait(partial(_tell_all, number, told), patience)


def _tell_all(number: int, told: set[int]) -> bool:
    """Signal every descendant that was not `told` yet; whether none is left."""
    alive = _descendants()
    for process in alive:
        if process.pid not in told:
            told.add(process.pid)
            with suppress(psutil.Error):
                process.send_signal(number)
    return not alive


def _descendants() -> list[psutil.Process]:
    _reap()
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if _status(process) != psutil.STATUS_ZOMBIE
    ]


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.Error:
        return str(psutil.STATUS_ZOMBIE)


def _reap() -> dict[int, int]:
    """Process id -> wait status of the children that have ended."""
    ended = {}
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended[pid] = status
    return ended


def _wait(done: Callable[[], bool], limit_s: float) -> None:
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        time.sleep(0.1)


def _die_of(number: int) -> NoReturn:
    """End as the command did, without a core file of this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.kill(os.getpid(), number)
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
