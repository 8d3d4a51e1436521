"""How often each data set is drawn from: p_i = n_i^alpha / sum of n_j^alpha."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from rewards.errors import ConfigError

Item = TypeVar("Item")


def shares(sizes: Mapping[str, int], alpha: float) -> dict[str, float]:
    """Name -> chance of being drawn; `alpha` 1 is by size, 0 all alike.

    >>> sizes = {"dialogues": 25_000, "support": 1_300, "comments": 58_000}
    >>> {name: round(p, 3) for name, p in shares(sizes, 0.5).items()}
    {'dialogues': 0.363, 'support': 0.083, 'comments': 0.554}

    Raises ConfigError for an empty mixture.
    """
    weights = {name: size**alpha for name, size in sizes.items() if size}
    if not weights:
        raise ConfigError("the mixture is empty: no data set gives a sample to train on (data.*)")
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def counts(parts: Mapping[str, float], samples: int) -> dict[str, int]:
    """Samples of each data set in an epoch of `samples`: largest remainders, so they sum to it."""
    exact = {name: part * samples for name, part in parts.items()}
    found = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: found[name] - exact[name])
    for name in rest[: samples - sum(found.values())]:
        found[name] += 1
    return found


def draw(
    data: Mapping[str, Sequence[Item]], numbers: Mapping[str, int], epoch: int, seed: int
) -> list[Item]:
    """The samples of an epoch in random order.

    Each data set is gone through in shuffled rounds that continue from epoch to epoch: nothing of
    it is seen again before all of it has been seen.
    """
    drawn: list[Item] = []
    for name, number in numbers.items():
        own = data[name]
        start = epoch * number
        for place in range(start, start + number):
            cycle, at = divmod(place, len(own))
            if place == start or at == 0:
                order = list(range(len(own)))
                random.Random(f"{seed} {name} {cycle}").shuffle(order)
            drawn.append(own[order[at]])
    random.Random(f"{seed} {epoch}").shuffle(drawn)
    return drawn
