"""The metric card of the embedded tagger: agreement with labels that no fit has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import cohen_kappa_score

from rewards.fitting.corpus import Corpus, CorpusReply, HumanReply
from rewards.fitting.crossfit import HeldOut
from rewards.fitting.fitter import calibrate, indicator, sentence_features, tactic_labels
from rewards.fitting.metrics import (
    Bools,
    Floats,
    best_thresholds,
    calibration_error,
    resampled_scores,
    rounded,
    tactic_scores,
)
from rewards.graders.embedded.heads import Heads
from rewards.protocols import Encoder
from rewards.tactics import TACTIC_INDEX, TACTIC_NAMES

NEIGHBOURS = (
    ("validation", "emotional_expression"),
    ("advice", "information"),
    ("validation", "paraphrasing"),
    ("empowerment", "reappraisal"),
)
"""Pairs of tactics that are easily mistaken for each other."""
FREQUENT = 20
"""Positives below which a tactic's F1 says more about chance than about the tagger, and a threshold
chosen on labels of people stays as shipped."""
HUMAN_FOLDS, HUMAN_REPEATS = 5, 10


def tagger_figures(
    heads: Heads, encoder: Encoder, held_out: HeldOut, corpus: Corpus
) -> dict[str, Any]:
    """Everything that was measured about the tagger."""
    replies = corpus.replies
    reference = held_out.tagged["conversation"]
    slope, shift = calibrate(tactic_labels(replies, reference.rows), reference.scores).T
    figures: dict[str, Any] = {}
    for name, tagged in held_out.tagged.items():
        truth = tactic_labels(replies, tagged.rows)
        probabilities = expit(tagged.scores * slope + shift)
        found = probabilities >= heads.thresholds
        groups = np.array(
            [replies[i].conversation_id for i in tagged.rows for _ in replies[i].sentences]
        )
        figures[f"unseen_{name}"] = tagging_card(truth, found, groups)
        if name == "conversation":
            new = _unseen_texts(held_out, replies, tagged.rows)
            figures["unseen_sentence"] = tagging_card(truth[new], found[new], groups[new])
            figures["calibration_error"] = round(calibration_error(truth, probabilities), 4)
    figures["human"] = human_figures(heads, corpus.people, encoder)
    figures["human_thresholds_of_other_replies"] = human_cross_validation(
        heads, corpus.people, encoder
    )
    return figures


def tagging_card(
    truth: Bools, found: Bools, groups: Sequence[object] | NDArray[Any], seed: int = 0
) -> dict[str, Any]:
    """Scores of each tactic with 95 % intervals, kappa, and confusion between neighbours.

    Arrays [sentences, tactics]; intervals resample whole `groups` (replies or conversations).
    """
    draws = resampled_scores(truth, found, list(groups), seed)
    scores = tactic_scores(truth, found)
    tactics: dict[str, dict[str, Any]] = {
        name: {
            **{key: round(values[k].item(), 4) for key, values in scores.items()},
            "kappa": rounded(_kappa(truth[:, k], found[:, k])),
            "f1_interval": _interval(draws["f1"][:, k]),
            "macro_f1_interval": _interval(draws["macro_f1"][:, k]),
        }
        for k, name in enumerate(TACTIC_NAMES)
    }
    frequent = [t["macro_f1"] for t in tactics.values() if t["positives"] >= FREQUENT]
    return {
        "sentences": len(truth),
        "mean_macro_f1": _mean([t["macro_f1"] for t in tactics.values()]),
        "mean_macro_f1_interval": _interval(draws["macro_f1"].mean(axis=1)),
        "mean_macro_f1_of_frequent": _mean(frequent) if frequent else None,
        "mean_kappa": _mean([t["kappa"] or 0.0 for t in tactics.values()]),
        "tactics": tactics,
        "confusion": [_confusion(truth, found, a, b) for a, b in NEIGHBOURS],
    }


def human_figures(heads: Heads, people: Sequence[HumanReply], encoder: Encoder) -> dict[str, Any]:
    """`tagging_card` of the heads on the replies labelled by people."""
    truth, probabilities, groups = _human(heads, people, encoder)
    return tagging_card(truth, probabilities >= heads.thresholds, groups)


def human_cross_validation(
    heads: Heads, people: Sequence[HumanReply], encoder: Encoder
) -> dict[str, Any]:
    """Mean macro-F1 when thresholds are chosen on the labels of people for other replies.

    Five folds by reply, ten times; a tactic with fewer than `FREQUENT` positives among the other
    replies keeps the shipped threshold.
    """
    truth, probabilities, groups = _human(heads, people, encoder)
    means = []
    for repeat in range(HUMAN_REPEATS):
        order = np.random.default_rng(repeat).permutation(len(people))
        fold_of = np.empty(len(people), dtype=int)
        fold_of[order] = np.arange(len(people)) % HUMAN_FOLDS
        found = np.zeros_like(truth)
        for fold in range(HUMAN_FOLDS):
            inside = fold_of[groups] == fold
            thresholds = best_thresholds(truth[~inside], probabilities[~inside])
            rare = truth[~inside].sum(axis=0) < FREQUENT
            thresholds[rare] = heads.thresholds[rare]
            found[inside] = probabilities[inside] >= thresholds
        card = tagging_card(truth, found, groups)
        means.append((card["mean_macro_f1"], card["mean_macro_f1_of_frequent"]))
    # None, where no tactic is frequent, becomes nan here and null in the card.
    every, frequent = np.array(means, dtype=np.float64).T
    return {
        "repeats": HUMAN_REPEATS,
        "mean_macro_f1": rounded(every.mean()),
        "mean_macro_f1_of_frequent": rounded(frequent.mean()),
        "standard_deviation_over_repeats": rounded(every.std()),
    }


def _human(
    heads: Heads, people: Sequence[HumanReply], encoder: Encoder
) -> tuple[Bools, Floats, NDArray[np.int64]]:
    """Labels and probabilities [sentences, tactics], and the reply of each sentence."""
    x = sentence_features(encoder, [reply.sentences for reply in people])
    truth = np.concatenate([indicator(reply.tactics) for reply in people])
    sizes = [len(reply.sentences) for reply in people]
    return truth, heads.probabilities(x), np.repeat(np.arange(len(people)), sizes)


def _unseen_texts(
    held_out: HeldOut, replies: Sequence[CorpusReply], rows: NDArray[np.int64]
) -> Bools:
    """Sentences whose text occurs in no other fold: stock sentences do not flatter these."""
    places: dict[str, set[int]] = {}
    for reply, fold in zip(replies, held_out.groups.conversation.tolist(), strict=True):
        for text in reply.sentences:
            places.setdefault(text, set()).add(fold)
    return np.array([len(places[text]) == 1 for i in rows for text in replies[i].sentences])


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)


def _interval(values: Floats) -> list[float]:
    return [round(float(v), 4) for v in np.quantile(values, (0.025, 0.975))]


def _kappa(truth: Bools, found: Bools) -> float:
    return 1.0 if (truth == found).all() else float(cohen_kappa_score(truth, found))


def _confusion(truth: Bools, found: Bools, first: str, second: str) -> dict[str, Any]:
    """Among sentences that carry one of two tactics, how often the other one is said instead."""
    shares: dict[str, Any] = {"pair": [first, second]}
    for real, said in ((first, second), (second, first)):
        a, b = TACTIC_INDEX[real], TACTIC_INDEX[said]
        whole = truth[:, a] & ~truth[:, b]
        part = whole & found[:, b] & ~found[:, a]
        share = round(float(part.sum() / whole.sum()), 4) if whole.any() else None
        shares[f"{real}_said_to_be_{said}"] = share
    return shares
