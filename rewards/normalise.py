"""From raw numbers to shares of 1: within a group, and by the length of a reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

FLAT_VALUE = 0.5
"""Of every member where nothing varies."""


class Normalised(NamedTuple):
    """Min-max values in [0, 1] of one component, and whether it was constant."""

    values_G: tuple[float, ...]
    flat: bool


def normalise_in_group(values_G: Sequence[float], flat_range: float = 1e-8) -> Normalised:
    """Min-max within the group, in [0, 1]; 0.5 for everyone when the range is at most flat_range.

    >>> normalise_in_group([-3.0, -1.0, 0.0]).values_G
    (0.0, 0.6666666666666666, 1.0)
    """
    if not values_G:
        return Normalised((), True)
    low, high = min(values_G), max(values_G)
    if high - low <= flat_range:
        return Normalised((FLAT_VALUE,) * len(values_G), True)
    return Normalised(tuple((value - low) / (high - low) for value in values_G), False)


def length_scale(num_tokens: int, target_tokens: int) -> float:
    """min(1, target/tokens), in (0, 1]: 1 up to the target length, 0.5 at twice the target."""
    return min(1.0, target_tokens / max(num_tokens, 1))
