"""What one file of dialogues gives: the published three numbers, and what they leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.statistics.estimates import Estimate, clustered_mean
from mint.reproduction.sage.read import SageDialogue, SageFile

VALUES: dict[str, Callable[[SageDialogue], float]] = {
    "score": lambda dialogue: dialogue.final,
    "success": lambda dialogue: 100.0 * dialogue.success,
    "failure": lambda dialogue: 100.0 * dialogue.failure,
}
"""The published definitions: mean final emotion, and percent of dialogues that end at 100 or above
and below 10. Each in [0, 100]."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Mean emotion at the seeker's turns, the opening line being turn 0."""

    means: tuple[float, ...]
    """A dialogue that has ended keeps its last emotion, so that every mean is over all."""
    talking: tuple[int, ...]
    """Dialogues that have this turn."""


@dataclass(frozen=True, kw_only=True)
class SageModel:
    """One file measured."""

    key: str
    model: str
    simulator: str
    dialogues: tuple[SageDialogue, ...]
    estimates: dict[str, Estimate]
    """`VALUES`, with intervals that resample profiles."""
    intentions: dict[str, dict[str, Estimate]]
    characters: dict[str, dict[str, Estimate]]
    curve: Curve
    turns_to_success: tuple[int, ...]
    """Replies that each succeeded dialogue took, ascending."""

    @property
    def median_turns(self) -> float | None:
        """Of the succeeded dialogues alone; None without any."""
        return median(self.turns_to_success) if self.turns_to_success else None


def measure(key: str, file: SageFile, settings: EvaluationConfig) -> SageModel:
    """Everything about one file."""
    found = file.dialogues
    return SageModel(
        key=key,
        model=file.model,
        simulator=file.simulator,
        dialogues=found,
        estimates=estimates(found, settings),
        intentions=_by(found, lambda one: one.intention, settings),
        characters=_by(found, lambda one: one.character, settings),
        curve=curve(found),
        turns_to_success=turns_to_success(found),
    )


def estimates(dialogues: Sequence[SageDialogue], settings: EvaluationConfig) -> dict[str, Estimate]:
    """`VALUES` of some dialogues; profiles are resampled, so that one met twice counts once."""
    result = {}
    for name, value in VALUES.items():
        pairs = [(one.profile, value(one) / 100.0) for one in dialogues]
        found = clustered_mean(pairs, settings, share=name != "score")
        result[name] = Estimate(
            # The mean of the file itself: dividing by 100 and back would cost its last digits.
            mean=fmean(value(one) for one in dialogues),
            ci_low=None if found.ci_low is None else 100.0 * found.ci_low,
            ci_high=None if found.ci_high is None else 100.0 * found.ci_high,
            n=found.n,
        )
    return result


def curve(dialogues: Sequence[SageDialogue]) -> Curve:
    """Over the dialogues whose emotion is known at a turn or before it."""
    longest = max((len(one.emotions) for one in dialogues), default=0)
    means, talking = [], []
    for turn in range(longest):
        known = [last for one in dialogues if (last := _at(one.emotions, turn)) is not None]
        if known:
            means.append(fmean(known))
            talking.append(sum(len(one.emotions) > turn for one in dialogues))
    return Curve(means=tuple(means), talking=tuple(talking))


def turns_to_success(dialogues: Sequence[SageDialogue]) -> tuple[int, ...]:
    """Replies until the emotion first reaches 100, of dialogues that succeed and record it."""
    turns = []
    for one in dialogues:
        reached = [t for t, value in enumerate(one.emotions) if value is not None and value >= 100]
        if one.success and reached:
            turns.append(reached[0])
    return tuple(sorted(turns))


def _at(emotions: Sequence[float | None], turn: int) -> float | None:
    return next((value for value in reversed(emotions[: turn + 1]) if value is not None), None)


def _by(
    dialogues: Sequence[SageDialogue],
    name: Callable[[SageDialogue], str],
    settings: EvaluationConfig,
) -> dict[str, dict[str, Estimate]]:
    groups: dict[str, list[SageDialogue]] = {}
    for one in dialogues:
        groups.setdefault(name(one), []).append(one)
    return {group: estimates(groups[group], settings) for group in sorted(groups)}
