"""The file of the judge's parts and its card: cross-fitted figures first, then a fit on all."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from rewards.fitting import parts as fits
from rewards.fitting.corrupt import replaced
from rewards.fitting.parts import Read, Shapes
from rewards.fitting.talks import Talk, Talks, read_comments
from rewards.graders.embedded.language import WordTable, count_words, language_features
from rewards.graders.embedded.parts import chance, harm_features
from rewards.graders.embedded.relevance import nearness
from rewards.protocols import Encoder
from rewards.text import split_sentences

FOLDS = 4
PEOPLE = "gold"
"""Name of the released replies that people wrote."""
_log = logging.getLogger(__name__)


class PartsSources(NamedTuple):
    """Where the parts learn from."""

    talks: Talks
    comments: list[tuple[str, frozenset[str]]]
    texts: list[str]
    """Sentences whose words and pairs are counted."""


def gather(talks: Talks, goemotions: Path) -> PartsSources:
    """Comments and training conversations beside `talks`. Raises DataError for a broken file."""
    comments = read_comments(goemotions / "train.tsv", goemotions / "labels.txt")
    turns = [
        s for talk in talks.training for turn in talk.turns[-1:] for s in split_sentences(turn)
    ]
    replies = [sentence for talk in talks.training for sentence in talk.sentences]
    return PartsSources(talks, comments, [*(text for text, _ in comments), *turns, *replies])


def fit_parts(
    plain: Encoder, sources: PartsSources, seed: int, shapes: Shapes | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays of `Parts` and the figures of their card; equal for equal arguments."""
    shapes = shapes or Shapes()
    talks = sources.talks
    table = count_words(sources.texts)
    vocabulary = sorted({w for text in sources.texts for w in text.lower().split() if w.isalpha()})
    _log.info("parts: %d words counted, reading replies", table.total)
    released, training, good, bad = (fits.read_all(plain, group) for group in talks)
    positives = [*training, *good]
    generic = [read for read in bad if read.talk.kind in fits.GENERIC_KINDS]
    held = _cross_fit(released, positives, generic, table, seed, shapes)
    slope, shift = _calibrate(held)
    _log.info("parts: %s", held_out := relevance_figures(held))
    maps = fits.fit_maps([*released, *positives], seed, shapes)
    logistic = fits.fit_relevance([*released, *positives], generic, table, seed, shapes)
    hostility = fits.fit_hostility(plain, sources.comments, seed)
    some = random.Random(seed).sample(released, min(1800, len(released)))
    arrays: dict[str, NDArray[Any]] = {
        "word_keys": table.keys,
        "word_counts": table.counts,
        "word_total": np.array(table.total),
        "word_size": np.array(table.size),
        "seeker_map": maps[0],
        "reply_map": maps[1],
        "relevance": _weights(logistic, shapes, slope, shift),
        "hostility": hostility,
        "harm": fits.fit_harm(hostility, good, bad, some),
        "coherence": fits.fit_coherence(
            [*talks.released[::2], *talks.good], table, vocabulary, seed
        ),
        "encoder_name": np.array(plain.identity.name),
        "encoder_dim": np.array(plain.dim),
    }
    figures = {
        "relevance": held_out,
        "harm": _harm_figures(hostility, good, bad, some),
        "coherence": _coherence_figures(talks, table, vocabulary, seed),
    }
    return arrays, figures


def _weights(logistic: NDArray[Any], shapes: Shapes, slope: float, shift: float) -> NDArray[Any]:
    """Features, cosine of the maps, constant; scaled to a probability of belonging."""
    constant = logistic[-1] * slope + shift
    weights = [*(logistic[:-1] * slope).tolist(), shapes.map_weight * slope, constant]
    return np.array(weights, np.float32)


class Held(NamedTuple):
    """Held-out log odds, not calibrated, of a reply in its own and in a foreign conversation."""

    read: Read
    own: float
    foreign: float


def _cross_fit(
    released: Sequence[Read],
    positives: Sequence[Read],
    generic: Sequence[Read],
    table: WordTable,
    seed: int,
    shapes: Shapes,
) -> list[Held]:
    names = sorted({read.talk.conversation_id for read in released})
    random.Random(seed).shuffle(names)
    held = []
    for fold in range(FOLDS):
        outside = set(names[fold::FOLDS])
        inside = [r for r in released if r.talk.conversation_id not in outside]
        rest = [r for r in released if r.talk.conversation_id in outside]
        learnt = [*inside, *positives]
        # Rounded to half precision, as they will be stored.
        maps = [m.astype(np.float32) for m in fits.fit_maps(learnt, seed, shapes)]
        weights = fits.fit_relevance(learnt, generic, table, seed, shapes)
        rng = random.Random(seed + fold)
        for read in rest:
            other = fits.stranger(read, rest, rng)
            own, foreign = (
                _odds(seeker, read, maps, weights, table, shapes) for seeker in (read, other)
            )
            held.append(Held(read, own, foreign))
        _log.info("parts: fold %d of %d", fold + 1, FOLDS)
    return held


def _odds(
    seeker: Read,
    reply: Read,
    maps: Sequence[NDArray[Any]],
    weights: NDArray[Any],
    table: WordTable,
    shapes: Shapes,
) -> float:
    x = fits.features(seeker, reply, table)
    near = nearness(maps[0], maps[1], seeker.seeker, reply.reply)
    return float(x @ weights[:-1] + weights[-1] + shapes.map_weight * near)


def _calibrate(held: Sequence[Held]) -> tuple[float, float]:
    """Slope and shift to the log odds of own against foreign, one of each for a reply."""
    odds = np.array([[h.own, h.foreign] for h in held]).ravel()[:, None]
    model = LogisticRegression(C=1e4).fit(odds, np.tile([1, 0], len(held)))
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def relevance_figures(held: Sequence[Held]) -> dict[str, Any]:
    """For people's and the systems' replies: AUC own against foreign, share of pairs in order."""
    groups = {
        "people": [h for h in held if h.read.talk.source == PEOPLE],
        "systems": [h for h in held if h.read.talk.source != PEOPLE],
    }
    return {
        name: {
            "replies": len(group),
            "auc": round(_auc([h.own for h in group], [h.foreign for h in group]), 3),
            "own_above_foreign": round(sum(h.own > h.foreign for h in group) / len(group), 3),
        }
        for name, group in groups.items()
        if group
    }


def _harm_figures(
    hostility: NDArray[Any], good: Sequence[Read], bad: Sequence[Read], others: Sequence[Read]
) -> Mapping[str, Any]:
    """Each hand's pairs graded by a fit on the other hand's."""
    files = sorted({read.talk.source.split()[0] for read in good})
    figures = {}
    for file in files:

        def own(reads: Sequence[Read], here: bool, file: str = file) -> list[Read]:
            return [r for r in reads if (r.talk.source.split()[0] == file) == here]

        if not own(good, False):
            continue
        weights = fits.fit_harm(hostility, own(good, False), own(bad, False), others)

        def odds(read: Read, weights: NDArray[Any] = weights) -> float:
            x = harm_features(hostility, read.encoded)
            return float(x @ weights[:-1] + weights[-1])

        harmful = [odds(r) for r in own(bad, True) if r.talk.kind in fits.HARM_KINDS]
        decent = [odds(r) for r in own(good, True)]
        figures[file] = {"harmful": len(harmful), "auc": round(_auc(harmful, decent), 3)}
    return figures


def _coherence_figures(
    talks: Talks, table: WordTable, vocabulary: Sequence[str], seed: int
) -> Mapping[str, Any]:
    """Replies of half of the conversations, graded by a fit on the other half's."""
    names = sorted({talk.conversation_id for talk in talks.released})
    inside = set(names[::2])
    learnt = [t for t in talks.released if t.conversation_id in inside]
    rest = [t for t in talks.released if t.conversation_id not in inside]
    weights = fits.fit_coherence([*learnt[::2], *talks.good], table, vocabulary, seed)
    rng = random.Random(seed)

    def passed(group: Sequence[Talk], rate: float = 0.0) -> float:
        said = [replaced(t.sentences, rate, vocabulary, rng) for t in group]
        chances = [chance(weights, language_features(table, own)) for own in said]
        return round(float(np.mean(np.array(chances) > 0.5)), 3)

    people = [t for t in rest if t.source == PEOPLE]
    systems = [t for t in rest if t.source != PEOPLE][::3]
    return {
        "people": passed(people),
        "systems": passed(systems),
        "systems_20_percent_random_words": passed(systems, 0.2),
        "systems_30_percent_random_words": passed(systems, 0.3),
    }


def _auc(high: Sequence[float], low: Sequence[float]) -> float:
    return float(roc_auc_score([1] * len(high) + [0] * len(low), [*high, *low]))
