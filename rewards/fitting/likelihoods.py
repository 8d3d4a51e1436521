"""Fits the few numbers of the second judge that asks a language model.

On a sample of the conversations that the lexical judge learnt from; measured on a sample of the
other half: likelihoods cost a tenth of a second each.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from rewards.canaries import rate_canaries, read_canaries
from rewards.errors import GraderError
from rewards.fitting.corpus import CorpusReply, read_replies
from rewards.fitting.corrupt import corrupted, replaced
from rewards.fitting.metrics import Floats, rounded, spearman
from rewards.fitting.second import as_pair, first_half, foreign
from rewards.graders.embedded.arrays import write_arrays, write_card
from rewards.graders.language_model.judge import (
    FEATURES,
    MEDIAN,
    PARTS,
    WEIGHTS,
    LanguageModelJudge,
    features,
    likelihoods,
)
from rewards.graders.language_model.model import ReplyModel
from rewards.graders.lexical.vectors import stems
from rewards.types import Message, Rating, Reply

LEARNT, UNSEEN = 40, 75
"""Replies of people, and as many of systems, that the fit and the figures are of."""
CORRUPTED = 30
"""Of each of these, also corrupted."""
RANDOM_WORDS = 0.3
"""Share of words replaced in the replies that measure coherence."""
PEOPLE = "gold"


class Sides(NamedTuple):
    """A sample of released replies, each also in a foreign conversation and corrupted."""

    released: list[CorpusReply]
    own: list[Reply]
    foreign: list[Reply]
    corrupted: list[Reply]
    """Of some: even places by random words at the rate that is measured, odd ones in any way."""

    @property
    def by_people(self) -> NDArray[np.bool_]:
        """[replies]"""
        return np.array([reply.system == PEOPLE for reply in self.released])


def fit_likelihoods(
    upstream: Path, model: ReplyModel, output: Path, canaries: Path, seed: int
) -> dict[str, Any]:
    """Write language_model.npz and its card to `output`; returns the card. Raises DataError."""
    released = [reply for reply in read_replies(upstream) if stems(reply.text) and reply.history]
    first = first_half((reply.conversation_id for reply in released), seed)
    learnt = sides([r for r in released if r.conversation_id in first], LEARNT, seed)
    unseen = sides([r for r in released if r.conversation_id not in first], UNSEEN, seed + 1)
    arrays: dict[str, NDArray[Any]] = {
        **fitted(model, learnt),
        "features": np.array(FEATURES),
        "model": np.array(model.revision),
    }
    write_arrays(output / WEIGHTS, arrays)
    judge = LanguageModelJudge(model, str(output / WEIGHTS))
    figures, median = measured(judge, unseen)
    arrays[MEDIAN] = np.array(np.nan if median is None else median)
    write_arrays(output / WEIGHTS, arrays)
    found = asyncio.run(rate_canaries(judge, read_canaries(canaries), median))
    card = {
        "command": f"python -m rewards.fit upstream=PATH part=language_model model=DIR seed={seed}",
        "seed": seed,
        "fitted_on": {"conversations": len(first), "replies": len(learnt.own)},
        "unseen_conversation": figures,
        "human_median": median,
        "canaries": found,
    }
    return write_card(output / WEIGHTS, card, arrays)


def sides(replies: Sequence[CorpusReply], number: int, seed: int) -> Sides:
    """A sample of `number` replies of people and as many of systems; fewer where there are."""
    rng = random.Random(seed)
    vocabulary = sorted({w.lower() for r in replies for w in r.text.split() if w.isalpha()})
    found = Sides([], [], [], [])
    for by_people in (True, False):
        group = [reply for reply in replies if (reply.system == PEOPLE) == by_people]
        chosen = rng.sample(group, min(number, len(group)))
        if not chosen:
            continue
        (swap,) = foreign([as_pair(reply) for reply in chosen], 1, seed)
        found.released.extend(chosen)
        for place, (reply, other) in enumerate(zip(chosen, swap, strict=True)):
            found.own.append(_reply(reply.history, reply.sentences))
            found.foreign.append(_reply(chosen[other].history, reply.sentences))
            words, changed = corrupted(reply.sentences, vocabulary, rng)
            fixed = replaced(reply.sentences, RANDOM_WORDS, vocabulary, rng)
            if place < CORRUPTED:
                bad = (fixed, words, fixed, changed)[place % 4]
                found.corrupted.append(_reply(reply.history, bad))
    return found


def fitted(model: ReplyModel, learnt: Sides) -> dict[str, NDArray[np.float64]]:
    """Part -> weights of its logistic model, constant last; people's replies count as much as the
    systems'."""
    # At once, so that each conversation and each reply is read once.
    read = likelihoods(model, [*learnt.own, *learnt.foreign, *learnt.corrupted])
    rows = [features(each) for each in read]
    size = len(learnt.own)
    own, other, broken = rows[:size], rows[size : 2 * size], rows[2 * size :]
    found = {}
    for name, bad in zip(PARTS, (other, broken), strict=True):
        x = np.array([row[name] for row in (*own, *bad)], np.float64)
        fit = LogisticRegression(C=100.0).fit(x, np.repeat([1, 0], [len(own), len(bad)]))
        found[name] = np.append(fit.coef_[0], fit.intercept_)
    return found


def measured(judge: LanguageModelJudge, unseen: Sides) -> tuple[dict[str, Any], float | None]:
    """Figures of the card, and the median rating of people's replies."""
    rated = _rate(judge, [*unseen.own, *unseen.foreign, *unseen.corrupted])
    size = len(unseen.own)
    own, other, broken = rated[:size], rated[size : 2 * size], rated[2 * size :]
    fixed = np.arange(len(broken)) % 2 == 0
    truth = np.array([(reply.ratings or (np.nan,))[-1] for reply in unseen.released])
    known = np.isfinite(truth)
    people = unseen.by_people
    figures = {
        "replies": len(own),
        "spearman": rounded(spearman(truth[known], _values(own, "rating")[known])),
        "own_against_foreign": {
            f"{name}, {what}": _compared(_values(own, what)[rows], _values(other, what)[rows])
            for name, rows in (("people", people), ("systems", ~people))
            if rows.any()
            for what in ("relevance", "rating")
        },
        "coherence_passed": {
            "people": _passed(own, people),
            "systems": _passed(own, ~people),
            "30_percent_random_words": _passed(broken, fixed),
        },
    }
    return figures, rounded(float(np.median(_values(own, "rating")[people])))


def _reply(history: tuple[Message, ...], sentences: Sequence[str]) -> Reply:
    return Reply(history=history, text=" ".join(sentences), sentences=tuple(sentences))


def _rate(judge: LanguageModelJudge, replies: Sequence[Reply]) -> list[Rating]:
    ratings = []
    for rating in judge.grade_now(replies):
        if not isinstance(rating, Rating):
            raise GraderError(f"the judge could not rate a released reply: {rating.message}")
        ratings.append(rating)
    return ratings


def _values(ratings: Sequence[Rating], what: str) -> Floats:
    """[replies] of the rating or of one of its parts."""
    return np.array([r.aggregate if what == "rating" else r.parts[what] for r in ratings])


def _compared(own: Floats, other: Floats) -> dict[str, Any]:
    labels = np.repeat([1, 0], [len(own), len(other)])
    return {
        "replies": len(own),
        "auc": rounded(float(roc_auc_score(labels, np.concatenate([own, other])))),
        "pairs_won": rounded(float((own > other).mean())),
    }


def _passed(ratings: Sequence[Rating], rows: NDArray[np.bool_]) -> float | None:
    """Share of the chosen replies that are held to be language rather than not."""
    return rounded(float((_values(ratings, "coherence")[rows] > 0.5).mean()))
