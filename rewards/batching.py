"""Collecting single items that arrive while others are worked on into one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from rewards.errors import ConfigError, GraderError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class _Waiting(NamedTuple, Generic[ItemT, ResultT]):
    item: ItemT
    future: asyncio.Future[ResultT]


class MicroBatcher(Generic[ItemT, ResultT]):
    """Calls `score` at once while it is free, else for all items that have come meanwhile.

    A batch holds at most `max_batch` items, in their order; at most `max_in_flight` calls are under
    way at a time. `score` gets a list and must return as many results in the same order. Keep
    blocking work inside `score` off the event loop.
    """

    def __init__(
        self,
        score: Callable[[list[ItemT]], Awaitable[list[ResultT]]],
        max_batch: int,
        max_in_flight: int = 1,
    ) -> None:
        """Raises ConfigError unless both limits are >= 1."""
        if max_batch < 1:
            raise ConfigError(f"max_batch must be >= 1 item, got {max_batch}")
        if max_in_flight < 1:
            raise ConfigError(f"max_in_flight must be >= 1 call, got {max_in_flight}")
        self._score = score
        self._max_batch = max_batch
        self._max_in_flight = max_in_flight
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[_Waiting[ItemT, ResultT]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, item: ItemT) -> ResultT:
        """The result for `item`, once its batch is scored.

        Whatever `score` raises reaches every waiter of that batch; a result list of another length
        raises GraderError. Cancelling one waiter leaves the others of its batch alone.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What waited in an event loop that has ended can never be sent.
            self._loop, self._waiting, self._running = loop, [], set()
        future: asyncio.Future[ResultT] = loop.create_future()
        self._waiting.append(_Waiting(item, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._send, loop)  # with what comes in this very turn of the loop
        return await future

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting and len(self._running) < self._max_in_flight:
            batch = self._waiting[: self._max_batch]
            del self._waiting[: self._max_batch]
            task = loop.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._free)

    def _free(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._send(task.get_loop())

    async def _run(self, batch: list[_Waiting[ItemT, ResultT]]) -> None:
        futures = [waiting.future for waiting in batch]
        try:
            results = await self._score([waiting.item for waiting in batch])
            if len(results) != len(batch):
                raise GraderError(f"{len(batch)} items were sent, {len(results)} came back")
        except asyncio.CancelledError:
            for future in futures:
                future.cancel()
            raise
        except Exception as error:
            for future in futures:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)
