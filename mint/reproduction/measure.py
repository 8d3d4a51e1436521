"""All metrics of one system, with intervals, and what its repetition would be by chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mint.evaluation.metrics import tactic_sets, wording
from mint.evaluation.metrics.habits import COUNTS, HABITS
from mint.evaluation.metrics.repetition import Null, conversation_null
from mint.evaluation.statistics.arrays import Floats
from mint.evaluation.statistics.bootstrap import (
    Interval,
    jackknife_interval,
    leave_one_out_counts,
    none_or_all,
    percentile_interval,
)
from mint.reproduction.panel import Panel, Replies
from mint.reproduction.read import SystemName
from mint.reproduction.settings import ReproduceSettings
from mint.reproduction.sums import PREVALENCE, REPETITION, Sums
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS

NGRAMS = (1, 2, 3)
_SHARES = (
    *(f"{PREVALENCE}{name}" for name in TACTIC_NAMES),
    *(name for name in HABITS if name not in COUNTS),
    "same_set",
    "any_new",
    "top_opening",
    "top_phrase",
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known about one system."""

    name: SystemName
    values: Mapping[str, float]
    """Metric -> value; NaN where it is undefined."""
    intervals: Mapping[str, Interval]
    """Metric -> interval over conversations."""
    nulls: Mapping[str, Null]
    """stickiness, lift, self_stickiness and self_lift when whole conversations trade their turns,
    each at its own place in the conversation."""
    always_on: tuple[str, ...]
    """Tactics in more than nine of ten turns."""
    opening: str
    """The most common first four words."""
    phrase: str
    """The five words that most replies share."""
    num_unrated: int
    """Ratings the judge left out."""


def measure(
    panel: Panel, system: Replies, sums: Sums, drawn_RC: Floats, settings: ReproduceSettings
) -> Measured:
    """All metrics of one system of the panel; `sums` are its own, `drawn_RC` shared by all."""
    once_1C = np.ones((1, drawn_RC.shape[1]))
    values = {name: float(value[0]) for name, value in sums.at(once_1C).items()}
    intervals = {
        name: percentile_interval(value_R, settings.confidence)
        for name, value_R in sums.at(drawn_RC).items()
    }
    without_C = sums.at(leave_one_out_counts(drawn_RC.shape[1]))
    for name in REPETITION:
        intervals[name] = jackknife_interval(values[name], without_C[name], settings.confidence)
    pooled, opening, phrase = _pooled(panel, system, settings)
    for name, (all_, *without) in pooled.items():
        values[name] = float(all_)
        intervals[name] = jackknife_interval(float(all_), np.array(without), settings.confidence)
    for name in _SHARES:
        at_end = none_or_all(values[name], drawn_RC.shape[1], settings.confidence)
        intervals[name] = intervals[name] if at_end is None else at_end
    return Measured(
        name=system.name,
        values=values,
        intervals=intervals,
        nulls=_nulls(panel, system, settings),
        always_on=tuple(tactic_sets.always_on(system.tactics_NK)),
        opening=opening,
        phrase=phrase,
        num_unrated=int(np.isnan(system.ratings_ND[:, : len(DIMENSIONS)]).sum()),
    )


def _pooled(
    panel: Panel, system: Replies, settings: ReproduceSettings
) -> tuple[dict[str, Floats], str, str]:
    """Metrics of all replies together: value, then the value without each conversation [1 + C];
    then the most common opening and phrase."""
    index_N, groups = panel.turns.index_N, len(panel.turns.conversations)
    sets_RS = wording.leave_one_out(tactic_sets.set_counts(system.tactics_NK, index_N, groups))
    values = {
        "distinct_sets": tactic_sets.num_sets(sets_RS),
        "set_entropy": tactic_sets.set_entropy(sets_RS),
    }
    tokens = [wording.words(text) for text in system.texts]
    for n in NGRAMS:
        items = [wording.ngrams(own, n) for own in tokens]
        counts_RV = wording.leave_one_out(wording.count_by_group(items, index_N, groups)[0])
        values[f"distinct_{n}"] = wording.distinct_share(counts_RV)
        values[f"distinct_{n}_equal_length"] = wording.distinct_share_of_sample(
            counts_RV, settings.equal_length
        )
    whole = [[wording.normalised(text)] for text in system.texts]
    counts_RV = wording.leave_one_out(wording.count_by_group(whole, index_N, groups)[0])
    values["duplicates"] = 1.0 - wording.distinct_share(counts_RV)
    replies_R = counts_RV.sum(axis=1)
    most = {}
    for name, found in (
        ("top_opening", [[wording.opening(text)] for text in system.texts]),
        ("top_phrase", [sorted(wording.phrases(text)) for text in system.texts]),
    ):
        counts_CV, items_V = wording.count_by_group(found, index_N, groups)
        values[name] = wording.top_share(wording.leave_one_out(counts_CV), replies_R)
        top = items_V[int(counts_CV.sum(axis=0).argmax())] if items_V else ()
        most[name] = " ".join(top)
    return values, most["top_opening"], most["top_phrase"]


def _nulls(panel: Panel, system: Replies, settings: ReproduceSettings) -> dict[str, Null]:
    turns = panel.turns
    now_PK = system.tactics_NK[turns.later_P]
    result: dict[str, Null] = {}
    for prefix, before in (("", panel.reference), ("self_", system)):
        found = conversation_null(
            now_PK,
            before.tactics_NK[turns.earlier_P],
            turns.index_N[turns.later_P],
            turns.place_P,
            shuffles=settings.shuffles,
            seed=settings.seed,
        )
        result |= {f"{prefix}{name}": null for name, null in found.items()}
    return result
