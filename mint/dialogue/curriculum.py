"""Whom to talk with next, and how hard they are: pure, with a state that goes into checkpoints.

A group of sibling dialogues teaches by their differences, so one that always or never succeeds
teaches nothing. Dual-Loop Self-Evolution (arXiv 2608.10626) estimates how often each person is
helped and spends dialogues where that is about half the time:

    p_i     = (S_i + prior * q_i) / (N_i + prior)           in [0, 1]
    score_i = max(0, 1 - 2 |p_i - 0.5|) + bonus * sqrt(ln(N_i + 1) / (N_i + 1))
    chance  = (1 - epsilon) * score_i / sum of scores + epsilon / number of people

S_i of N_i dialogues with person i succeeded. q_i, the estimate before anything is known of i, is
the success rate of the people of the same temper with *another* intention (of all others, then 0.5,
where there are none): how a person is reached shows in others too, what it hopes for does not.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mint.config.curriculum import CurriculumConfig, Stage
from mint.dialogue.protocol import Person

Floats = NDArray[np.float64]
UNKNOWN = 0.5
"""Estimate where there is no dialogue to go by."""


def preset_at(stages: Sequence[Stage], step: int, person: str, otherwise: str) -> str:
    """Preset of the seeker that plays `person` in a step; `otherwise` where there are no stages.

    A function of its arguments alone, so siblings meet the same seeker and a resumed run the same
    as one that was never ended. Steps before 1 (a validation before training) are as step 1.

    >>> preset_at([Stage(presets={"a": 1}), Stage(from_step=9, presets={"b": 1})], 9, "Ann", "c")
    'b'
    """
    if not stages:
        return otherwise
    stage = [stage for stage in stages if stage.from_step <= max(step, 1)][-1]
    names = sorted(stage.presets)
    shares = np.array([stage.presets[name] for name in names])
    place = zlib.crc32(f"{step}/{person}".encode()) / 2**32
    return names[int(np.searchsorted(np.cumsum(shares) / shares.sum(), place, side="right"))]


class Outcome(NamedTuple):
    """How one dialogue with a person ended."""

    person: str
    """Its id."""
    emotion: float
    """Of the person at the end, in [0, 100]."""


class Allocation:
    """How often each person is talked with next, learnt from how dialogues ended."""

    def __init__(self, people: Sequence[Person], settings: CurriculumConfig, seed: int) -> None:
        """Raises ValueError when two people share an id."""
        self._ids = [person.id for person in people]
        if len(set(self._ids)) < len(people):
            raise ValueError("two people share an id")
        self._place = {name: i for i, name in enumerate(self._ids)}
        self._settings = settings
        self._random = np.random.default_rng(seed)
        self._number = np.zeros(len(people))
        self._succeeded = np.zeros(len(people))
        tempers = np.array([person.temper for person in people])
        intentions = np.array([person.intention for person in people])
        # [people, people]: whom the estimate before any dialogue is taken from.
        self._alike = (tempers[:, None] == tempers) & (intentions[:, None] != intentions)
        self._others = ~np.eye(len(people), dtype=bool)

    def note(self, outcomes: Iterable[Outcome]) -> None:
        """Learn from dialogues that have a result. People who are not known are passed over."""
        for person, emotion in outcomes:
            if person in self._place:
                self._number[self._place[person]] += 1
                helped = emotion >= self._settings.success_emotion
                self._succeeded[self._place[person]] += helped

    def estimates(self) -> Floats:
        """p of each person, in [0, 1]."""
        before = self._rates(self._alike, self._rates(self._others, UNKNOWN))
        prior = self._settings.prior
        return (self._succeeded + prior * before) / (self._number + prior)

    def chances(self) -> Floats:
        """Chance of each person to be drawn, adding up to 1."""
        near = np.maximum(0.0, 1 - 2 * np.abs(self.estimates() - 0.5))
        more = self._number + 1
        scores = near + self._settings.bonus * np.sqrt(np.log(more) / more)
        uniform = np.full(len(scores), 1 / len(scores))
        total = scores.sum()
        part = scores / total if total > 0 else uniform
        return (1 - self._settings.epsilon) * part + self._settings.epsilon * uniform

    def draw(self, number: int) -> list[int]:
        """Places of the next `number` people: all different as long as there are so many."""
        drawn: list[int] = []
        while len(drawn) < number:
            chances = self.chances()
            most = min(number - len(drawn), int((chances > 0).sum()))
            found = self._random.choice(len(chances), most, replace=False, p=chances)
            drawn += found.tolist()
        return drawn

    def metrics(self) -> dict[str, float]:
        """What is known of the people and how far the draw is from uniform."""
        chances, estimates = self.chances(), self.estimates()
        return {
            "people/success/mean": float(estimates.mean()),
            "people/near_half_frac": float((np.abs(estimates - 0.5) <= 0.25).mean()),
            "people/met_frac": float((self._number > 0).mean()),
            "people/effective_num": float(1 / (chances**2).sum()),
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs to go on exactly so; plain JSON."""
        counts = {
            name: [float(n), float(s)]
            for name, n, s in zip(self._ids, self._number, self._succeeded, strict=True)
        }
        return {"people": counts, "random": self._random.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state. Counts of people who are gone are dropped."""
        for name, (number, succeeded) in state["people"].items():
            if name in self._place:
                self._number[self._place[name]] = number
                self._succeeded[self._place[name]] = succeeded
        self._random.bit_generator.state = state["random"]

    def _rates(self, of: NDArray[np.bool_], otherwise: Floats | float) -> Floats:
        """Success rate over the people in each row of `of`, `otherwise` where they are unmet."""
        number, succeeded = of @ self._number, of @ self._succeeded
        return np.where(number > 0, succeeded / np.maximum(number, 1), otherwise)
