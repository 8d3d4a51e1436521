"""Names of the parts of a rating, and of what holds ratings down, as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from rewards.graders.embedded.join import VETOES as VETO_NAMES


class _Rated(Protocol):
    @property
    def parts(self) -> Mapping[str, float] | None: ...
    @property
    def tricks(self) -> tuple[str, ...] | None: ...


PARTS = ("manner", *VETO_NAMES)
"""Parts of the embedded judge's rating (`rewards.types.Rating.parts`): manner in [1, 5], the others
in [0, 1]; harm is the one where less is better."""
GUARDS_OF_EMPATHY = ("relevance", "coherence")
"""Parts whose fall takes away any claim that empathy rose."""
VETOES = tuple(VETO_NAMES.values())
"""What parts with a veto are called among `Rating.tricks`."""
HELD_DOWN = "held_down"
"""Share of rated replies that anything held down; <HELD_DOWN>/<name> for one thing alone."""


class HeldDown(NamedTuple):
    """How many rated replies were held down, and by what."""

    num_rated: int
    names: dict[str, int]
    """What held ratings down -> how many; the vetoes always, others where they occur."""
    num: int
    """Replies that at least one of them held down."""


def held_down(replies: Iterable[_Rated]) -> HeldDown:
    """Counts over the replies that have a rating in dimensions; a reply may be held down twice."""
    rated = [reply.tricks for reply in replies if reply.tricks is not None]
    names = dict.fromkeys(VETOES, 0)
    for tricks in rated:
        for name in tricks:
            names[name] = names.get(name, 0) + 1
    return HeldDown(len(rated), names, sum(bool(tricks) for tricks in rated))
