"""Everything a bootstrap of conversations needs to know about a system: sums per conversation.

Suffixes: _N turns, _P turns with a turn before, _C conversations, _M metrics, _R resamples,
_K tactics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mint.evaluation.metrics import tactic_sets
from mint.evaluation.metrics.habits import habits
from mint.evaluation.metrics.overlap import bigram_overlap, bleu_2, tokens
from mint.evaluation.metrics.repetition import pair_sums, repetition
from mint.evaluation.statistics.arrays import Floats, divide, sum_by
from mint.reproduction.panel import Panel, Replies, Turns
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS

PREVALENCE = "prevalence/"
HEADLINE = ("aggregated_empathy", "stickiness", "lift", "self_stickiness", "tac_per_turn")
"""Metrics by which every pair of systems is compared."""
REPETITION = (
    "stickiness",
    "stickiness_otherwise",
    "lift",
    "self_stickiness",
    "self_stickiness_otherwise",
    "self_lift",
)
"""Metrics whose intervals come from the jackknife: a rare tactic is missing from many resamples, so
percentile intervals cover too little."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """Sums per conversation from which every metric but the pooled ones follows."""

    names: tuple[str, ...]
    """Metrics that are means over turns or over pairs of turns."""
    sums_CM: Floats
    counts_CM: Floats
    """How many values each sum has."""
    gold_CM: Floats
    """`pair_sums` of the reply and the person's previous turn."""
    own_CM: Floats
    """`pair_sums` of the reply and the system's own previous reply."""
    uses_CK: Floats
    """Turns that use each tactic."""
    jaccard_CC: Floats
    jaccard_pairs_CC: Floats

    def at(self, drawn_RC: Floats) -> dict[str, Floats]:
        """Metric -> value [R] when each conversation counts as often as it was drawn."""
        means_RM = divide(drawn_RC @ self.sums_CM, drawn_RC @ self.counts_CM)
        values = {name: means_RM[:, m] for m, name in enumerate(self.names)}
        values.update(self._repetition(drawn_RC))
        values["effective_tactics"] = tactic_sets.effective_tactics(drawn_RC @ self.uses_CK)
        # A conversation drawn twice is not paired with its copy, which would invent likeness.
        values["cross_jaccard"] = divide(
            ((drawn_RC @ self.jaccard_CC) * drawn_RC).sum(axis=1),
            ((drawn_RC @ self.jaccard_pairs_CC) * drawn_RC).sum(axis=1),
        )
        return values

    def headline(self, drawn_RC: Floats) -> dict[str, Floats]:
        """As `at`, for the metrics of `HEADLINE` only."""
        values = {**self.headline_means(drawn_RC), **self._repetition(drawn_RC)}
        return {name: values[name] for name in HEADLINE}

    def headline_means(self, drawn_RC: Floats) -> dict[str, Floats]:
        """As `headline`, without repetition."""
        columns = [self.names.index(name) for name in HEADLINE if name in self.names]
        means_RM = divide(
            drawn_RC @ self.sums_CM[:, columns], drawn_RC @ self.counts_CM[:, columns]
        )
        return {self.names[c]: means_RM[:, m] for m, c in enumerate(columns)}

    def _repetition(self, drawn_RC: Floats) -> dict[str, Floats]:
        gold, own = repetition(drawn_RC @ self.gold_CM), repetition(drawn_RC @ self.own_CM)
        return dict(zip(REPETITION, (*gold, *own), strict=True))


def sums_of(panel: Panel, system: Replies) -> Sums:
    """The sums of one system of the panel."""
    by_turn = {**_ratings(system), **_tactics(system), **_habits(system)}
    return _sums(panel, system, by_turn, _pair_values(panel, system))


def headline_sums(panel: Panel, system: Replies) -> Sums:
    """Sums that are enough for `Sums.headline`; much less work, since no text is looked at."""
    by_turn = {**_ratings(system), **_tactics(system)}
    return _sums(panel, system, {n: v for n, v in by_turn.items() if n in HEADLINE}, {})


def _sums(
    panel: Panel, system: Replies, by_turn: Mapping[str, Floats], by_pair: Mapping[str, Floats]
) -> Sums:
    turns = panel.turns
    groups = len(turns.conversations)
    pair_index_P = turns.index_N[turns.later_P]
    columns = [_sums_and_counts(by_turn, turns.index_N, groups)]
    if by_pair:
        columns.append(_sums_and_counts(by_pair, pair_index_P, groups))
    now_PK = system.tactics_NK[turns.later_P]
    gold_PK = panel.reference.tactics_NK[turns.earlier_P]
    own_PK = system.tactics_NK[turns.earlier_P]
    jaccard_CC, pairs_CC = tactic_sets.cross_jaccard(system.tactics_NK, turns.index_N, groups)
    return Sums(
        names=(*by_turn, *by_pair),
        sums_CM=np.hstack([sums for sums, _ in columns]),
        counts_CM=np.hstack([counts for _, counts in columns]),
        gold_CM=sum_by(pair_sums(now_PK, gold_PK), pair_index_P, groups),
        own_CM=sum_by(pair_sums(now_PK, own_PK), pair_index_P, groups),
        uses_CK=sum_by(system.tactics_NK.astype(float), turns.index_N, groups),
        jaccard_CC=jaccard_CC,
        jaccard_pairs_CC=pairs_CC,
    )


def _ratings(system: Replies) -> dict[str, Floats]:
    """Metric -> value of each turn [N]."""
    by_dimension = {name: system.ratings_ND[:, d] for d, name in enumerate(DIMENSIONS)}
    return {**by_dimension, "aggregated_empathy": system.aggregate_N}


def _tactics(system: Replies) -> dict[str, Floats]:
    uses_NK = system.tactics_NK.astype(float)
    prevalence = {f"{PREVALENCE}{name}": uses_NK[:, k] for k, name in enumerate(TACTIC_NAMES)}
    return {"tac_per_turn": uses_NK.sum(axis=1), **prevalence}


def _habits(system: Replies) -> dict[str, Floats]:
    found = [habits(text) for text in system.texts]
    return {name: np.array([row[name] for row in found]) for name in found[0]}


def _pair_values(panel: Panel, system: Replies) -> dict[str, Floats]:
    """Metric -> value of each turn that has a turn before [P]."""
    turns = panel.turns
    now_PK, own_PK = system.tactics_NK[turns.later_P], system.tactics_NK[turns.earlier_P]
    values: dict[str, Floats] = {
        "same_set": tactic_sets.same_set(now_PK, own_PK).astype(float),
        "any_new": tactic_sets.any_new(now_PK, own_PK).astype(float),
        "self_jaccard": tactic_sets.jaccard(now_PK, own_PK),
    }
    values.update(_wording(turns, system, panel.reference, ""))
    values.update(_wording(turns, system, system, "self_"))
    return values


def _wording(turns: Turns, now: Replies, before: Replies, prefix: str) -> dict[str, Floats]:
    words = [tokens(text) for text in now.texts]
    earlier = words if before is now else [tokens(text) for text in before.texts]
    pairs = [(words[a], earlier[b]) for a, b in zip(turns.later_P, turns.earlier_P, strict=True)]
    return {
        f"{prefix}bigram_overlap": np.array([bigram_overlap(a, b) for a, b in pairs]),
        f"{prefix}bleu_2": np.array([bleu_2(a, b) for a, b in pairs]),
    }


def _sums_and_counts(
    values: Mapping[str, Floats], index: np.ndarray, groups: int
) -> tuple[Floats, Floats]:
    columns = np.column_stack(list(values.values()))
    known = np.isfinite(columns)
    return (
        sum_by(np.where(known, columns, 0.0), index, groups),
        sum_by(known.astype(float), index, groups),
    )
