"""Siblings on one data-parallel rank, so that their prompt is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from verl.utils.seqlen_balancing import log_seqlen_unbalance


def keep_siblings(batch: Any, worker_group: Any, metrics: dict[str, Any]) -> Any:
    """Reorder a batch that verl has balanced over its actor's ranks row by row; verl hands each
    rank an equal stretch of it."""
    ranks = max(worker_group._dispatch_info["actor"]) + 1
    groups: dict[str, list[int]] = {}
    for number, key in enumerate(batch.keys):
        groups.setdefault(group_of(key), []).append(number)
    tags = batch.tags
    costs = [
        max(int(tags[n]["seq_len"] - tags[n]["response_len"]) for n in numbers)
        + sum(int(tags[n]["response_len"]) for n in numbers)
        for numbers in groups.values()
    ]
    found = share_out(list(groups.values()), costs, ranks)
    lengths = [int(tag["seq_len"]) for tag in tags]
    batch.reorder([number for numbers in found for number in numbers])
    metrics.update(log_seqlen_unbalance(lengths, found, prefix="global_seqlen"))
    return batch


def group_of(key: str) -> str:
    """The prompt's uid in the key of a reply, which is uid, session and index with "_" between."""
    return key.rsplit("_", 2)[0]


def share_out(
    groups: Sequence[Sequence[int]], costs: Sequence[float], ranks: int
) -> list[list[int]]:
    """Numbers of rows for each rank, equally many. Raises ValueError where that is not possible.

    The dearest group first, to the rank with the least work that has room for all of it. A group is
    cut only when no rank has.
    """
    size, rest_of_all = divmod(sum(map(len, groups)), ranks)
    if rest_of_all:
        raise ValueError(f"{sum(map(len, groups))} rows cannot be shared equally by {ranks} ranks")
    found: list[list[int]] = [[] for _ in range(ranks)]
    work = [0.0] * ranks
    for cost, group in sorted(zip(costs, groups, strict=True), key=lambda pair: -pair[0]):
        rest = list(group)
        while rest:
            room = [size - len(numbers) for numbers in found]
            rank = min(range(ranks), key=lambda r: (max(0, len(rest) - room[r]), work[r]))
            found[rank] += rest[: room[rank]]
            work[rank] += cost * min(len(rest), room[rank]) / len(group)
            rest = rest[room[rank] :]
    return found
