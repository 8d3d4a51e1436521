"""Signals that end a command, as exceptions: what it has started ends too, its files say why."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Those that ask a process to end."""
Handler = Callable[[int, FrameType | None], None]
_QUIET_S = 20.0
"""How long further signals are ignored after one: ending takes less."""


class Signalled(KeyboardInterrupt):
    """A signal asks this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.status = 128 + number
        """Exit status, as shells have it."""


@contextmanager
def signals_raise() -> Iterator[None]:
    """SIGTERM, SIGHUP and SIGINT raise Signalled in here. Does nothing outside the main thread.

    SIGHUP stays ignored where it is, as after `nohup`. SIGINT does not: a shell lets background
    commands ignore it, and `kill -INT` is meant.
    """
    last = -_QUIET_S

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if time.monotonic() - last >= _QUIET_S:
            last = time.monotonic()
            with suppress(OSError):  # the terminal may be gone
                os.write(2, f"{signal.Signals(number).name}: ending what was started\n".encode())
            raise Signalled(number)

    with handlers(dict.fromkeys(heard(), end)):
        yield


def heard() -> tuple[signal.Signals, ...]:
    """ENDING, without SIGHUP where it is ignored, as after `nohup`."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return tuple(number for number in ENDING if not (ignored and number == signal.SIGHUP))


@contextmanager
def on_signal(number: int, work: Callable[[], None]) -> Iterator[None]:
    """`work` is done whenever signal `number` comes. Does nothing outside the main thread."""
    with handlers({number: lambda *_: work()}):
        yield


@contextmanager
def handlers(wanted: Mapping[int, Handler]) -> Iterator[None]:
    """Install handlers in here; the former ones come back. Nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
