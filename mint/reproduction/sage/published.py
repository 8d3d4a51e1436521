"""The published leaderboard (leaderboard.yaml) and how files are matched with its rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mint.pages import texts
from mint.reproduction.sage.measure import SageModel


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """The facts of leaderboard.yaml."""

    source: str
    simulator: str
    """How the name of its simulator begins."""
    tolerance: Mapping[str, float]
    models: Mapping[str, Mapping[str, float]]
    """Name -> score, and success and failure where they are known."""

    def row(self, model: SageModel) -> Mapping[str, float]:
        """The published values of a file; {} for another model or simulator."""
        if not plain(model.simulator).startswith(plain(self.simulator)):
            return {}
        names = {plain(name): row for name, row in self.models.items()}
        name = plain(model.model)
        return names[name] if name in names else {}

    def reproduces(self, value: str, observed: float, published: float) -> bool:
        """Whether an observed value rounds to the published one."""
        return abs(observed - published) <= self.tolerance[value]


@cache
def load() -> Leaderboard:
    """leaderboard.yaml."""
    return Leaderboard(**texts.read("mint.reproduction.sage", "leaderboard.yaml"))


def plain(name: str) -> str:
    """A name without case and without all but letters and digits.

    >>> plain("GPT-4.1")
    'gpt41'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())
