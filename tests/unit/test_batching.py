"""Items that arrive together are scored together; failures reach exactly their own batch."""

from __future__ import annotations

import asyncio

import pytest

from rewards.batching import MicroBatcher
from rewards.errors import ConfigError, GraderError


class Recorder:
    """Doubles numbers and remembers its batches; 13 makes it fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(list(items))
        await asyncio.sleep(0)
        if 13 in items:
            raise GraderError("thirteen")
        return [2 * item for item in items]


def test_items_arriving_together_share_a_batch() -> None:
    score = Recorder()

    async def scenario() -> list[int]:
        batcher = MicroBatcher(score, max_batch=10)
        return await asyncio.gather(*(batcher.submit(i) for i in range(5)))

    assert asyncio.run(scenario()) == [0, 2, 4, 6, 8]
    assert score.batches == [[0, 1, 2, 3, 4]]


def test_batches_are_no_larger_than_allowed() -> None:
    score = Recorder()

    async def scenario() -> list[int]:
        batcher = MicroBatcher(score, max_batch=2)
        waiting = asyncio.gather(*(batcher.submit(i) for i in range(4)))
        return await asyncio.wait_for(waiting, timeout=5.0)

    assert asyncio.run(scenario()) == [0, 2, 4, 6]
    assert score.batches == [[0, 1], [2, 3]]


def test_a_later_item_starts_a_new_batch() -> None:
    score = Recorder()

    async def scenario() -> None:
        batcher = MicroBatcher(score, max_batch=10)
        await batcher.submit(1)
        await batcher.submit(2)

    asyncio.run(scenario())
    assert score.batches == [[1], [2]]


def test_a_failure_reaches_every_waiter_of_its_batch_only() -> None:
    async def scenario() -> list[int | BaseException]:
        batcher = MicroBatcher(Recorder(), max_batch=2)
        return await asyncio.gather(
            *(batcher.submit(i) for i in (1, 13, 3, 4)), return_exceptions=True
        )

    first, second, third, fourth = asyncio.run(scenario())
    assert isinstance(first, GraderError)
    assert isinstance(second, GraderError)
    assert (third, fourth) == (6, 8)


def test_a_wrong_number_of_results_is_an_error() -> None:
    async def short(items: list[int]) -> list[int]:
        return items[1:]

    async def scenario() -> None:
        await MicroBatcher(short, max_batch=1).submit(1)

    with pytest.raises(GraderError, match="1 items were sent, 0 came back"):
        asyncio.run(scenario())


def test_a_cancelled_waiter_does_not_hurt_its_batch() -> None:
    async def scenario() -> int:
        batcher = MicroBatcher(Recorder(), max_batch=10)
        leaving = asyncio.create_task(batcher.submit(1))
        staying = asyncio.create_task(batcher.submit(2))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(scenario()) == 4


def test_a_batcher_survives_the_end_of_its_event_loop() -> None:
    score = Recorder()
    batcher = MicroBatcher(score, max_batch=10)

    async def abandon() -> None:
        task = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0)
        task.cancel()

    async def again() -> list[int]:
        return await asyncio.gather(*(batcher.submit(i) for i in range(10)))

    asyncio.run(abandon())
    assert asyncio.run(again()) == list(range(0, 20, 2))


class Gate:
    """A grader that is busy until it is let go; remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(list(items))
        await self.open.wait()
        return items


async def turns() -> None:
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_an_item_leaves_at_once_while_the_grader_is_free() -> None:
    async def scenario() -> None:
        loop, gate = asyncio.get_running_loop(), Gate()
        batcher = MicroBatcher(gate, max_batch=64)
        timers = loop.call_at
        loop.call_at = lambda *_a, **_k: pytest.fail("a timer was set")  # type: ignore[method-assign]
        task = asyncio.create_task(batcher.submit(1))
        await turns()
        assert gate.batches == [[1]]
        gate.open.set()
        assert await task == 1
        loop.call_at = timers  # type: ignore[method-assign]

    asyncio.run(scenario())


def test_what_comes_while_it_is_busy_leaves_together() -> None:
    async def scenario() -> list[list[int]]:
        gate = Gate()
        batcher = MicroBatcher(gate, max_batch=4)
        tasks = []
        for item in range(8):  # one after the other, as replies end
            tasks.append(asyncio.create_task(batcher.submit(item)))
            await turns()
        assert gate.batches == [[0]]
        gate.open.set()
        assert await asyncio.gather(*tasks) == list(range(8))
        return gate.batches

    assert asyncio.run(scenario()) == [[0], [1, 2, 3, 4], [5, 6, 7]]


def test_several_calls_may_be_under_way() -> None:
    async def scenario() -> list[list[int]]:
        gate = Gate()
        batcher = MicroBatcher(gate, max_batch=64, max_in_flight=2)
        tasks = []
        for item in range(5):
            tasks.append(asyncio.create_task(batcher.submit(item)))
            await turns()
        assert gate.batches == [[0], [1]]
        gate.open.set()
        await asyncio.gather(*tasks)
        return gate.batches

    assert asyncio.run(scenario()) == [[0], [1], [2, 3, 4]]


@pytest.mark.parametrize(("batch", "in_flight"), [(0, 1), (1, 0)])
def test_settings_are_checked(batch: int, in_flight: int) -> None:
    with pytest.raises(ConfigError):
        MicroBatcher(Recorder(), max_batch=batch, max_in_flight=in_flight)
