"""Measures of whole dialogues, with intervals from resampled people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mint.config.evaluation import EvaluationConfig
from mint.dialogue.protocol import Ended
from mint.dialogue.record import TalkRecord
from mint.evaluation.statistics.arrays import Floats
from mint.evaluation.statistics.bootstrap import resample_counts
from mint.evaluation.statistics.estimates import (
    Difference,
    Estimate,
    Resampled,
    Shared,
    clustered_mean,
    differences,
)

Talks = Mapping[str, TalkRecord]
"""Key (person and sample) -> dialogue."""
_SHARES = ("success", "despaired", "well_formed")
MEASURES: dict[str, Callable[[TalkRecord], float]] = {
    "emotion": lambda talk: talk.emotion,
    "emotion_gain": lambda talk: talk.emotion - talk.start,
    "success": lambda talk: float(talk.ended is Ended.SATISFIED),
    "despaired": lambda talk: float(talk.ended is Ended.DESPAIRED),
    "turns": lambda talk: float(len(talk.turns)),
    "well_formed": lambda talk: float(np.mean([turn.well_formed for turn in talk.turns])),
}
"""Of a dialogue with a result: last emotion in [0, 100], its rise, how it ended, replies."""


SECOND = "second_seeker/"
"""Before the name of a measure: of dialogues with a seeker that training never saw."""


def usable(talks: Talks) -> dict[str, TalkRecord]:
    """The dialogues with a result."""
    return {key: talk for key, talk in talks.items() if talk.lost is None}


def talk_estimates(talks: Talks, settings: EvaluationConfig) -> dict[str, Estimate]:
    """Measure -> mean over the dialogues with a result; the share of lost ones over all."""
    heard = usable(talks)
    found = {
        name: clustered_mean(
            [(talk.person, measure(talk)) for talk in heard.values()],
            settings,
            share=name in _SHARES,
        )
        for name, measure in MEASURES.items()
        if heard
    }
    lost = [(talk.person, float(talk.lost is not None)) for talk in talks.values()]
    if lost:
        found["lost"] = clustered_mean(lost, settings, share=True)
    return found


def talk_differences(
    before: Talks, after: Talks, settings: EvaluationConfig
) -> dict[str, Difference]:
    """Measure -> paired difference over the dialogues that have a result on both sides."""
    keys = sorted(usable(before).keys() & usable(after).keys())
    if not keys:
        return {}
    people = sorted({before[key].person for key in keys})
    sides = [
        _resampled([talks[key] for key in keys], people, settings) for talks in (before, after)
    ]
    shared = Shared([], [], people, num_conversations=len(keys), num_turns=len(keys))
    return differences(sides[0], sides[1], shared, settings.confidence)


def _resampled(
    talks: Sequence[TalkRecord], people: Sequence[str], settings: EvaluationConfig
) -> Resampled:
    place = {name: number for number, name in enumerate(people)}
    sums_CM = np.zeros((len(people), len(MEASURES) + 1))
    for talk in talks:
        values = [measure(talk) for measure in MEASURES.values()]
        sums_CM[place[talk.person]] += [*values, 1.0]
    counts_RC = resample_counts(len(people), settings.resamples, settings.seed)

    def means(sums_RM: Floats) -> dict[str, Floats]:
        return {name: sums_RM[:, m] / sums_RM[:, -1] for m, name in enumerate(MEASURES)}

    points = means(sums_CM.sum(axis=0, keepdims=True))
    return Resampled(
        points={name: float(values[0]) for name, values in points.items()},
        drawn=means(counts_RC @ sums_CM),
        without={},
        clusters=len(people),
        shares=frozenset(_SHARES),
    )
