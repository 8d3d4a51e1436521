"""The turns that all systems share, as arrays, so that everything is paired by construction.

Suffixes: _N turns, _P turns that have a supporter turn before, _K tactics, _C conversations,
_D rated dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mint.evaluation.metrics.tactic_sets import bool_sets
from mint.evaluation.statistics.arrays import Bools, Floats
from mint.reproduction.read import System, SystemName, TurnKey, aggregate
from rewards.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True, eq=False)
class Turns:
    """Which turns there are; the same for every system."""

    keys: tuple[TurnKey, ...]
    """Sorted."""

    @cached_property
    def conversations(self) -> tuple[str, ...]:
        """Sorted ids of the C conversations."""
        return tuple(sorted({key.conversation_id for key in self.keys}))

    @cached_property
    def index_N(self) -> NDArray[np.intp]:
        """Number of each turn's conversation."""
        place = {name: c for c, name in enumerate(self.conversations)}
        return np.array([place[key.conversation_id] for key in self.keys], dtype=np.intp)

    @cached_property
    def later_P(self) -> NDArray[np.intp]:
        """Turns that have a supporter turn before."""
        known = set(self.keys)
        return np.array([n for n, key in enumerate(self.keys) if key.previous in known], np.intp)

    @cached_property
    def earlier_P(self) -> NDArray[np.intp]:
        """The turn before each of `later_P`."""
        place = {key: n for n, key in enumerate(self.keys)}
        return np.array([place[self.keys[n].previous] for n in self.later_P], dtype=np.intp)

    @cached_property
    def place_P(self) -> NDArray[np.intp]:
        """turn_index of each of `later_P`."""
        return np.array([self.keys[n].turn_index for n in self.later_P], dtype=np.intp)


@dataclass(frozen=True, kw_only=True, eq=False)
class Replies:
    """One system on the turns of a panel."""

    name: SystemName
    texts: tuple[str, ...]
    tactics_NK: Bools
    ratings_ND: Floats
    """NaN where the judge left a dimension out."""

    @property
    def aggregate_N(self) -> Floats:
        """`mint.reproduction.read.aggregate` of each turn's ratings, in [1, 5]."""
        return aggregate(self.ratings_ND)


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """All systems on the same turns."""

    turns: Turns
    systems: tuple[Replies, ...]
    """By folder name."""
    reference: Replies
    """The people whose turns the contexts hold; one of `systems`."""
    judge: str


def build_panel(systems: Sequence[System], reference: str) -> Panel:
    """Arrays of all systems on the turns of the reference.

    Raises ConfigError when there is no system called `reference`, DataError when systems differ in
    their turns or in their judge, since nothing could be compared then.
    """
    by_name = {system.name.folder: system for system in systems}
    if reference not in by_name:
        found = ", ".join(by_name)
        raise ConfigError(f"reference={reference} is none of the systems found: {found}")
    people = by_name[reference]
    for system in systems:
        _check_comparable(system, people)
    replies = {system.name.folder: _replies(system) for system in systems}
    return Panel(
        turns=Turns(keys=tuple(turn.key for turn in people.turns)),
        systems=tuple(replies.values()),
        reference=replies[reference],
        judge=people.judge,
    )


def _check_comparable(system: System, people: System) -> None:
    name, reference = system.name.folder, people.name.folder
    own, keys = ({turn.key for turn in one.turns} for one in (system, people))
    if own != keys:
        absent, extra = sorted(keys - own), sorted(own - keys)
        what = f"lacks {absent[0]}" if absent else f"has {extra[0]}, which {reference} lacks"
        raise DataError(
            f"{name} has {len(own)} turns and {reference} {len(keys)}: it {what}; "
            f"skip=[{name}] leaves it out"
        )
    if system.judge != people.judge:
        raise DataError(
            f"{name} is rated by {system.judge}, {reference} by {people.judge}; ratings of "
            "different judges do not compare"
        )


def _replies(system: System) -> Replies:
    return Replies(
        name=system.name,
        texts=tuple(turn.text for turn in system.turns),
        tactics_NK=bool_sets([turn.tactics for turn in system.turns]),
        ratings_ND=np.array([turn.ratings for turn in system.turns]),
    )
