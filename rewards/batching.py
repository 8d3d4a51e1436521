"""Collecting single items that arrive at about the same time into one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from rewards.errors import ConfigError, GraderError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class _Batch(Generic[ItemT, ResultT]):
    """Items waiting together, and the timer that will send them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.items: list[ItemT] = []
        self.futures: list[asyncio.Future[ResultT]] = []
        self.timer: asyncio.TimerHandle | None = None


class MicroBatcher(Generic[ItemT, ResultT]):
    """Calls `score` once for all items submitted within `max_wait_s` seconds of the first one.

    A batch is sent early when it holds `max_batch` items. `score` gets a list and must return as
    many results in the same order; several batches may be in flight at once. Keep blocking work
    inside `score` off the event loop.
    """

    def __init__(
        self,
        score: Callable[[list[ItemT]], Awaitable[list[ResultT]]],
        max_batch: int,
        max_wait_s: float,
    ) -> None:
        """Raises ConfigError unless max_batch >= 1 and max_wait_s >= 0."""
        if max_batch < 1:
            raise ConfigError(f"max_batch must be >= 1 item, got {max_batch}")
        if not max_wait_s >= 0:
            raise ConfigError(f"max_wait_s must be >= 0 seconds, got {max_wait_s}")
        self._score = score
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._open: _Batch[ItemT, ResultT] | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, item: ItemT) -> ResultT:
        """The result for `item`, once its batch is scored.

        Whatever `score` raises reaches every waiter of that batch; a result list of another length
        raises GraderError. Cancelling one waiter leaves the others of its batch alone.
        """
        loop = asyncio.get_running_loop()
        batch = self._open
        # A batch of an event loop that has ended can never be sent; start afresh in this one.
        if batch is None or batch.loop is not loop:
            batch = self._open = _Batch(loop)
            batch.timer = loop.call_later(self._max_wait_s, self._send, batch)
        future: asyncio.Future[ResultT] = loop.create_future()
        batch.items.append(item)
        batch.futures.append(future)
        if len(batch.items) >= self._max_batch:
            self._send(batch)
        return await future

    def _send(self, batch: _Batch[ItemT, ResultT]) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
        if self._open is batch:
            self._open = None
        task = batch.loop.create_task(self._run(batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, batch: _Batch[ItemT, ResultT]) -> None:
        try:
            results = await self._score(batch.items)
            if len(results) != len(batch.items):
                raise GraderError(f"{len(batch.items)} items were sent, {len(results)} came back")
        except asyncio.CancelledError:
            for future in batch.futures:
                future.cancel()
            raise
        except Exception as error:
            for future in batch.futures:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in zip(batch.futures, results, strict=True):
            if not future.done():
                future.set_result(result)
