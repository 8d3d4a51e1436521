"""Runs an application until a signal comes; its open streams end with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from mint.shell.console import say
from mint.shell.signals import ENDING, handlers
from mint.web.listen import WebSettings, address, is_loopback, listener

_PATIENCE_S = 3
"""How long requests that are being answered may take when the server stops."""
_CONNECTIONS = 256


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # `serve` listens to them: an ordinary end is no signal's exit status


def serve(make: Callable[[int, asyncio.Event], ASGIApp], settings: WebSettings, what: str) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; prints the address first.

    `make` is given the port and an event that is set when the server stops. Raises ConfigError
    when the port cannot be had.
    """
    with listener(settings.host, settings.port) as sock:
        port = sock.getsockname()[1]
        stopping = asyncio.Event()
        server = _Server(_config(make(port, stopping)))

        def stop(number: int, frame: FrameType | None) -> None:
            if server.should_exit:
                server.force_exit = True
            server.should_exit = True
            loop.call_soon_threadsafe(stopping.set)

        say(f"{what}: {address(settings.host, port)}/ (Ctrl-C ends it)")
        if not is_loopback(settings.host):
            say("note: whoever is on the way can read what is sent: this is HTTP without TLS")
        with asyncio.Runner() as runner, handlers(dict.fromkeys(ENDING, stop)):
            loop = runner.get_loop()
            runner.run(server.serve(sockets=[sock]))


def _config(app: ASGIApp) -> uvicorn.Config:
    # No access log: addresses of pages are nobody's business. Errors are shown.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        access_log=False,
        log_level="error",
        server_header=False,
        date_header=False,
        http="h11",
        ws="none",
        lifespan="off",
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_PATIENCE_S,
        h11_max_incomplete_event_size=32 * 1024,
    )
