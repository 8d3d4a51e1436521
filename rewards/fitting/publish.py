"""From fits to files: calibration, thresholds, cards, and the weights that are shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewards.errors import GraderError
from rewards.fitting.cards import base_card, judge_figures, residual_spread
from rewards.fitting.corpus import CorpusReply, HumanReply
from rewards.fitting.crossfit import HeldOut, Tagged, judge_heads
from rewards.fitting.fitter import Fit, FitSettings, calibrate, indicator, sigmoid, stack
from rewards.fitting.metrics import Bools, Floats, best_thresholds, rounded
from rewards.fitting.validation import tagging_card
from rewards.graders.embedded.adapter import SHIPPED, save_adapter
from rewards.graders.embedded.heads import Heads, save_heads
from rewards.graders.embedded.judge import WEIGHTS as JUDGE_WEIGHTS
from rewards.graders.embedded.tagger import FEATURES as SENTENCE_FEATURES
from rewards.graders.embedded.tagger import WEIGHTS as TAGGER_WEIGHTS
from rewards.protocols import Encoder, SplitReply
from rewards.tactics import NUM_TACTICS, TACTIC_NAMES

HUMAN_FOLDS, HUMAN_REPEATS = 5, 10
ENOUGH = 20
"""Positives that a threshold chosen on labels of people needs; below, it stays as shipped."""


def publish(
    fit: Fit,
    held_out: HeldOut,
    replies: Sequence[CorpusReply],
    authored: Sequence[CorpusReply],
    people: Sequence[HumanReply],
    experts: Sequence[Mapping[str, tuple[float, ...]]],
    settings: FitSettings,
    output: Path,
) -> None:
    """Write adapter, heads and cards into the folder `output`."""
    a = fit.adapter
    saved = save_adapter(a.modules, a.scale, a.encoder_name, a.encoder_sha256, output / SHIPPED)
    if saved.revision != a.revision:
        raise GraderError(f"{output / SHIPPED} differs from the adapter that the heads are for")
    identity = fit.encoder.identity
    tagger = tagger_heads(fit, held_out.tagged["conversation"], replies)
    save_heads(
        tagger,
        {
            **base_card("tagger", settings, identity, replies, authored),
            **tagger_figures(tagger, fit.encoder, held_out, replies, people),
        },
        output / TAGGER_WEIGHTS,
    )
    residual = residual_spread(held_out, replies)
    save_heads(
        judge_heads(fit.ratings, residual, fit.encoder),
        {
            **base_card("judge", settings, identity, replies, authored),
            **judge_figures(held_out, replies, experts, residual),
        },
        output / JUDGE_WEIGHTS,
    )


def tagger_heads(fit: Fit, held_out: Tagged, replies: Sequence[CorpusReply]) -> Heads:
    """The tactic heads, calibrated and with thresholds, both on held-out scores."""
    truth = labels(replies, held_out.rows)
    slope, shift = calibrate(truth, held_out.scores).T
    probabilities = sigmoid(held_out.scores * slope + shift)
    return Heads(
        outputs=TACTIC_NAMES,
        coef=(fit.tactics.coef * slope[None, :, None]).astype(np.float32),
        intercept=(fit.tactics.intercept * slope + shift).astype(np.float32),
        thresholds=best_thresholds(truth, probabilities).astype(np.float32),
        residual=np.zeros(NUM_TACTICS, np.float32),
        features=SENTENCE_FEATURES,
        encoder_name=fit.encoder.identity.name,
        encoder_adapter=str(fit.encoder.identity.details["adapter"]),
        encoder_dim=fit.encoder.dim,
    )


def tagger_figures(
    heads: Heads,
    encoder: Encoder,
    held_out: HeldOut,
    replies: Sequence[CorpusReply],
    people: Sequence[HumanReply],
) -> dict[str, Any]:
    """Everything that was measured about the tagger."""
    slope, shift = _calibration(held_out.tagged["conversation"], replies)
    figures: dict[str, Any] = {}
    for name, tagged in held_out.tagged.items():
        truth = labels(replies, tagged.rows)
        probabilities = sigmoid(tagged.scores * slope + shift)
        found = probabilities >= heads.thresholds
        groups = _per_sentence(replies, tagged.rows, [r.conversation_id for r in replies])
        figures[f"unseen_{name}"] = tagging_card(truth, found, groups)
        if name == "conversation":
            new = _unseen_texts(held_out, replies, tagged.rows)
            own = [group for group, keep in zip(groups, new, strict=True) if keep]
            figures["unseen_sentence"] = tagging_card(truth[new], found[new], own)
            figures["calibration_error"] = round(calibration_error(truth, probabilities), 4)
    figures["human"] = human_figures(heads, people, encoder)
    figures["human_thresholds_of_other_replies"] = human_cross_validation(heads, people, encoder)
    return figures


def human_figures(heads: Heads, people: Sequence[HumanReply], encoder: Encoder) -> dict[str, Any]:
    """`tagging_card` of the heads on the replies labelled by people."""
    truth, probabilities, groups = _human(heads, people, encoder)
    return tagging_card(truth, probabilities >= heads.thresholds, groups)


def human_cross_validation(
    heads: Heads, people: Sequence[HumanReply], encoder: Encoder
) -> dict[str, Any]:
    """Mean macro-F1 when thresholds are chosen on the labels of people for other replies.

    Five folds by reply, ten times; a tactic with fewer than `ENOUGH` positives among the other
    replies keeps the shipped threshold.
    """
    truth, probabilities, groups = _human(heads, people, encoder)
    names = np.array(groups)
    means = []
    for repeat in range(HUMAN_REPEATS):
        order = np.random.default_rng(repeat).permutation(len(people))
        fold_of = np.empty(len(people), dtype=int)
        fold_of[order] = np.arange(len(people)) % HUMAN_FOLDS
        found = np.zeros_like(truth)
        for fold in range(HUMAN_FOLDS):
            inside = fold_of[names] == fold
            thresholds = best_thresholds(truth[~inside], probabilities[~inside])
            rare = truth[~inside].sum(axis=0) < ENOUGH
            thresholds[rare] = heads.thresholds[rare]
            found[inside] = probabilities[inside] >= thresholds
        card = tagging_card(truth, found, groups)
        means.append((card["mean_macro_f1"], card["mean_macro_f1_of_frequent"]))
    # None, where no tactic is frequent, becomes nan here and null in the card.
    every, frequent = np.array(means, dtype=np.float64).T
    return {
        "repeats": HUMAN_REPEATS,
        "mean_macro_f1": round(float(every.mean()), 4),
        "mean_macro_f1_of_frequent": rounded(float(frequent.mean())),
        "standard_deviation_over_repeats": round(float(every.std()), 4),
    }


def calibration_error(truth: Bools, probabilities: Floats, bins: int = 10) -> float:
    """Mean distance of stated probability and frequency, over ten bins and all tactics."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    error = 0.0
    for index in range(bins):
        inside = place == index
        if inside.any():
            error += inside.sum() * abs(probabilities[inside].mean() - truth[inside].mean())
    return float(error / truth.size)


def labels(replies: Sequence[CorpusReply], rows: NDArray[np.int64]) -> Bools:
    """[sentences, tactics] of the replies in `rows`, which all have tactics."""
    return np.concatenate([indicator(replies[i].tactics or ()) for i in rows])


def _calibration(held_out: Tagged, replies: Sequence[CorpusReply]) -> tuple[Floats, Floats]:
    slope, shift = calibrate(labels(replies, held_out.rows), held_out.scores).T
    return slope, shift


def _human(
    heads: Heads, people: Sequence[HumanReply], encoder: Encoder
) -> tuple[Bools, Floats, list[int]]:
    vectors = stack(encoder.encode([SplitReply("", reply.sentences) for reply in people]))
    truth = np.concatenate([indicator(reply.tactics) for reply in people])
    groups = [i for i, reply in enumerate(people) for _ in reply.sentences]
    return truth, sigmoid(heads.scores(vectors).astype(np.float64)), groups


def _per_sentence(
    replies: Sequence[CorpusReply], rows: NDArray[np.int64], values: Sequence[str]
) -> list[str]:
    return [values[i] for i in rows for _ in replies[i].sentences]


def _unseen_texts(
    held_out: HeldOut, replies: Sequence[CorpusReply], rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Sentences whose text occurs in no other fold: stock sentences do not flatter these."""
    places: dict[str, set[int]] = {}
    for reply, fold in zip(replies, held_out.groups.conversation.tolist(), strict=True):
        for text in reply.sentences:
            places.setdefault(text, set()).add(fold)
    return np.array([len(places[text]) == 1 for i in rows for text in replies[i].sentences])
