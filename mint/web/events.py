"""Server-sent events (HTML standard, 9.2): what a server tells an open page, one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.responses import StreamingResponse

from mint.shell.files import jsonable

_QUIET_S = 15.0
"""After so long without an event a comment is sent, so that whoever is between keeps it open."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened."""

    name: str
    data: Any
    """Sent as JSON."""
    id: str = ""
    """What a browser that has lost the connection says it has seen last; "" for none."""

    def encode(self) -> bytes:
        """As it goes over the wire; JSON has no line ends, so nothing can end an event early."""
        body = json.dumps(jsonable(self.data), ensure_ascii=False, allow_nan=False)
        first = f"id: {self.id}\n" if self.id else ""
        return f"{first}event: {self.name}\ndata: {body}\n\n".encode()


def event_stream(events: AsyncIterator[Event], stopping: asyncio.Event) -> StreamingResponse:
    """The answer that sends `events` until they end, the page is closed or the server stops."""
    return StreamingResponse(
        _encoded(events, stopping),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def _encoded(events: AsyncIterator[Event], stopping: asyncio.Event) -> AsyncIterator[bytes]:
    stop = asyncio.ensure_future(stopping.wait())
    following: asyncio.Future[Event] | None = None
    try:
        yield b"retry: 2000\n\n"
        while not stop.done():
            following = following or asyncio.ensure_future(anext(events))
            either: set[asyncio.Future[Any]] = {following, stop}
            await asyncio.wait(either, timeout=_QUIET_S, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                if not stop.done():
                    yield b": still here\n\n"
                continue
            try:
                yield following.result().encode()
            except StopAsyncIteration:
                return
            following = None
    finally:
        stop.cancel()
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await following
        if hasattr(events, "aclose"):
            await events.aclose()
