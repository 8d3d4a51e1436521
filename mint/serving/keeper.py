"""Keeps one server running: waits for health, watches, restarts a dead one, gives up in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from mint.serving.probe import ServerError
from mint.serving.server import ServerProcess, exit_reason, wait_s
from mint.serving.settings import ServerSettings
from mint.shell.console import say

_LOOK_S = 0.2
_HEALTH_EVERY_S = 5.0
_WAITING_LINE_S = 15.0


class Keeper:
    """Runs a server until told to stop. One keeper, one server."""

    def __init__(
        self,
        settings: ServerSettings,
        server: ServerProcess,
        stop: threading.Event,
        on_ready: Callable[[float], None],
        on_end: Callable[[], None],
    ) -> None:
        """`on_ready` is called with the seconds it took, each time the server becomes healthy;
        `on_end` each time it has died or been stopped."""
        self._settings, self._part, self._server = settings, settings.part, server
        self._stop, self._on_ready, self._on_end = stop, on_ready, on_end

    def run(self) -> None:
        """Returns when told to stop. Raises ServerError when the server cannot be kept running."""
        was_ready, used = False, 0
        try:
            while not self._stop.is_set():
                self._server.start()
                ready, reason = self._one_life()
                was_ready = was_ready or ready
                if self._stop.is_set():
                    return
                self._end_life(reason, was_ready, used)
                pause = self._settings.backoff_s * 2**used
                used += 1
                left = self._settings.restarts - used
                say(
                    f"{self._part} died: {reason}; starting it again in {pause:g} s "
                    f"({left} further restarts left)"
                )
                wait_s(pause, self._stop.is_set)
        finally:
            self._on_end()
            self._server.stop()

    def _end_life(self, reason: str, was_ready: bool, used: int) -> None:
        """Clean up after a death. Raises ServerError when it was the last one."""
        self._on_end()
        log = self._server.log_summary()
        self._server.stop()
        if not was_ready:
            # The same settings would fail again.
            raise ServerError(f"{self._part} did not start: {reason}\n{log}")
        if used >= self._settings.restarts:
            raise ServerError(
                f"{self._part} died: {reason}; gave up after {used} restarts "
                f"(restarts={self._settings.restarts})\n{log}"
            )

    def _one_life(self) -> tuple[bool, str]:
        """Whether the server became healthy, and why it is considered dead ("" when stopped)."""
        began = time.monotonic()
        with _progress(self._part, began) as tick:
            while not self._server.healthy():
                status = self._server.session.exit_status()
                waited = time.monotonic() - began
                if status is not None:
                    return False, exit_reason(status)
                if self._stop.is_set():
                    return False, ""
                if waited > self._settings.start_timeout_s:
                    limit = self._settings.start_timeout_s
                    return False, f"not healthy after start_timeout_s={limit:g} seconds"
                tick(waited)
                wait_s(_LOOK_S, self._stop.is_set)
        self._on_ready(time.monotonic() - began)
        return True, self._watch()

    def _watch(self) -> str:
        last_healthy = last_asked = time.monotonic()
        while not self._stop.is_set():
            status = self._server.session.exit_status()
            if status is not None:
                return exit_reason(status)
            now = time.monotonic()
            if now - last_asked >= _HEALTH_EVERY_S:
                last_asked = now
                if self._server.healthy():
                    last_healthy = time.monotonic()
                elif now - last_healthy > self._settings.hang_timeout_s:
                    return f"/health has not answered for {now - last_healthy:.0f} s"
            wait_s(_LOOK_S, self._stop.is_set)
        return ""


@contextmanager
def _progress(part: str, began: float) -> Iterator[Callable[[float], None]]:
    """A running clock in a terminal, a line now and then elsewhere."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(f"{part}: starting") as status:
            yield lambda waited: status.update(f"{part}: starting, {waited:.0f} s")
        return
    printed = 0.0

    def line(waited: float) -> None:
        nonlocal printed
        if waited - printed >= _WAITING_LINE_S:
            printed = waited
            say(f"{part}: still starting after {waited:.0f} s")

    yield line
