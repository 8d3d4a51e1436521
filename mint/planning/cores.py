"""Processor cores that Ray must find free, or verl waits for ever."""

from __future__ import annotations

from mint.planning.items import Item
from mint.planning.settings import CPUS_PER_RANK, RunSettings


def core_items(run: RunSettings) -> tuple[Item, ...]:
    """Cores that are booked on the whole cluster; other processes book none."""
    return (
        Item("TransferQueue", run.queue_units + 1, f"{run.queue_units} storage units + controller"),
        Item(
            "ranks",
            CPUS_PER_RANK * run.ranks,
            f"{run.ranks} x {CPUS_PER_RANK}: what verl books with a GPU",
        ),
    )
