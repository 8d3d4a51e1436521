"""A number of the plan, with the words that say where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Item(NamedTuple):
    """One number; the unit is that of the list it stands in."""

    name: str
    value: float
    formula: str


class Moment(NamedTuple):
    """A part of a step and what is in memory then, in GiB."""

    name: str
    items: tuple[Item, ...]

    @property
    def total(self) -> float:
        """Sum of the items."""
        return total(self.items)


def total(items: Iterable[Item]) -> float:
    """Sum of the values."""
    return sum(item.value for item in items)


def kept(*items: Item | None) -> tuple[Item, ...]:
    """The items that are there and not zero."""
    return tuple(item for item in items if item is not None and item.value > 0)


def peak(moments: Iterable[Moment]) -> Moment:
    """The moment with the most."""
    return max(moments, key=lambda moment: moment.total)


def billions(count: float) -> str:
    """`4.02 G`, `4.2 M`."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} G"
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count:,.0f}"
