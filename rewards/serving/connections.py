"""Connections of one event loop, in pools small enough to be fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

SLOTS_PER_POOL = 8
"""Requests that share one pool of connections."""


class Session:
    """What belongs to one event loop: connections, and a slot for each request in flight."""

    def __init__(self, connect: Callable[[], httpx.AsyncClient], concurrency: int) -> None:
        self.users = 0
        self._connect = connect
        self._clients: dict[int, httpx.AsyncClient] = {}
        # Last in, first out: a few requests at a time use few connections, and those are warm.
        self._slots: asyncio.LifoQueue[int] = asyncio.LifoQueue()
        for number in reversed(range(concurrency)):
            self._slots.put_nowait(number)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a free connection, once there is one."""
        number = await self._slots.get()
        try:
            # httpx looks through a whole pool for each request, in quadratic time: several small
            # pools do a step's thousands of requests in a fraction of the time of a large one.
            share = number // SLOTS_PER_POOL
            if share not in self._clients:
                self._clients[share] = self._connect()
            yield self._clients[share]
        finally:
            self._slots.put_nowait(number)

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()
