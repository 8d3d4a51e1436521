"""The held-out figures of a grader's metric card, in words (cards.yaml)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mint.pages import texts
from mint.pages.html import interval, number, text

_TEXTS = texts.read("mint.reporting", "cards.yaml")


def figures_of(card: Mapping[str, Any]) -> Iterator[list[str]]:
    """Words and value, with its interval where the card has one, of each figure that has words."""
    for block, where in _TEXTS["blocks"].items():
        values = card[block] if block in card else {}
        for name, what in _TEXTS["figures"].items():
            if name not in values or not isinstance(values[name], int | float):
                continue
            value = values[name]
            shown = number(value, 0 if isinstance(value, int) else 3)
            ends = values.get(f"{name}_interval")
            shown += f" {interval(ends[0], ends[1], 3)}" if ends else ""
            yield [text(f"{what}, {where}"), shown]
