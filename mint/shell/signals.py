"""Signals that end a command, as exceptions: what it has started ends too, its files say why."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
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

    wanted: dict[int, Callable[[int, FrameType | None], None]] = dict.fromkeys(_ENDING, end)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        del wanted[signal.SIGHUP]
    with _handlers(wanted):
        yield


@contextmanager
def on_signal(number: int, work: Callable[[], None]) -> Iterator[None]:
    """`work` is done whenever signal `number` comes. Does nothing outside the main thread."""
    with _handlers({number: lambda *_: work()}):
        yield


@contextmanager
def _handlers(handlers: Mapping[int, Callable[[int, FrameType | None], None]]) -> Iterator[None]:
    """Install handlers; the former ones come back at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
