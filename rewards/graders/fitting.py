"""Fitting of the embedded graders: cross-validation over conversations, then a fit on all of them.

Logistic heads for the tagger, ridge heads for the judge; scikit-learn is needed here only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from rewards.graders.corpus import CorpusReply, HumanSentence, agreement
from rewards.graders.degenerate import Degenerate, labelled, probes
from rewards.graders.features import REPLY_FEATURES, SENTENCE_FEATURES, sentence_features
from rewards.graders.heads import Heads
from rewards.graders.judge_embedded import HIGHEST, LOWEST, OUTPUTS, judge_features
from rewards.graders.metrics import (
    best_thresholds,
    grouped_spearman,
    rounded,
    spearman,
    tagging_report,
)
from rewards.protocols import Encoder
from rewards.tactics import TACTIC_NAMES

FOLDS = 5
TAGGER_C = 0.015
"""Inverse strength of the tactic heads' L2 penalty."""
JUDGE_ALPHA = 100.0
"""Strength of the rating heads' L2 penalty."""
DEGENERATE = 40
"""Degenerate replies of each kind mixed into the judge's fit."""
GOOD_RATING = 4.0
"""A released reply rated at least this counts as good when probes are compared with it."""

Floats = NDArray[np.float64]
_SOURCES = {
    "replies, tactics, ratings": "public MINT repository (arXiv 2604.11742), MIT",
    "encoder": "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Heads and their metric card."""

    heads: Heads
    card: dict[str, Any]


def fit_tagger(
    replies: Sequence[CorpusReply],
    people: Sequence[HumanSentence],
    encoder: Encoder,
    seed: int,
) -> Fitted:
    """Tactic heads fitted on the released tags of all replies whose sentence count agrees."""
    used = [reply for reply in replies if reply.tactics is not None]
    rows = [
        (text, found, reply.conversation_id)
        for reply in used
        for text, found in zip(reply.sentences, reply.tactics or (), strict=True)
    ]
    texts = [text for text, _, _ in rows]
    x = sentence_features(encoder.encode(texts), texts).astype(np.float64)
    truth = _indicator([found for _, found, _ in rows])
    folds = assign_folds([conversation for _, _, conversation in rows], seed)
    held_out = np.zeros(truth.shape)
    for fold in range(FOLDS):
        _log.info("tagger: fold %d of %d", fold + 1, FOLDS)
        coef, intercept = _fit_logistic(x[folds != fold], truth[folds != fold])
        held_out[folds == fold] = _sigmoid(x[folds == fold] @ coef.T + intercept)
    thresholds = best_thresholds(truth, held_out)
    _log.info("tagger: all conversations")
    coef, intercept = _fit_logistic(x, truth)
    heads = _heads(TACTIC_NAMES, coef, intercept, thresholds, SENTENCE_FEATURES, encoder)
    new = _unseen(texts, folds)
    card = {
        **_card("tagger", encoder, seed, replies),
        "replies_fitted": len(used),
        "regularisation_C": TAGGER_C,
        "held_out_conversations": tagging_report(truth, held_out >= thresholds, TACTIC_NAMES),
        "held_out_sentences_never_seen": tagging_report(
            truth[new], held_out[new] >= thresholds, TACTIC_NAMES
        ),
        "human_labelled_sentences": human_report(heads, people, encoder),
    }
    return Fitted(heads=heads, card=card)


def human_report(heads: Heads, people: Sequence[HumanSentence], encoder: Encoder) -> dict[str, Any]:
    """`tagging_report` of the heads on sentences labelled by people."""
    texts = [sentence.text for sentence in people]
    scores = heads.scores(sentence_features(encoder.encode(texts), texts))
    found = _sigmoid(scores.astype(np.float64)) >= heads.thresholds
    return tagging_report(_indicator([s.tactics for s in people]), found, TACTIC_NAMES)


def fit_judge(replies: Sequence[CorpusReply], encoder: Encoder, seed: int) -> Fitted:
    """Rating heads fitted on all rated replies and on labelled degenerate ones."""
    rated = [reply for reply in replies if reply.ratings is not None]
    x = _judge_x(encoder, [(r.sentences, r.seeker_turn) for r in rated])
    truth = np.array([reply.ratings for reply in rated], np.float64)
    folds = assign_folds([reply.conversation_id for reply in rated], seed)
    held_out = np.zeros(truth.shape)
    tests: list[tuple[Degenerate, float]] = []
    for fold in range(FOLDS):
        _log.info("judge: fold %d of %d", fold + 1, FOLDS)
        inside = [r for r, f in zip(rated, folds, strict=True) if f != fold]
        coef, intercept = _fit_ridge(encoder, inside, x[folds != fold], truth[folds != fold], seed)
        held_out[folds == fold] = x[folds == fold] @ coef.T + intercept
        outside = [r for r, f in zip(rated, folds, strict=True) if f == fold]
        made = probes(outside, 30, seed + fold)
        scores = _judge_x(encoder, [(p.sentences, p.seeker_turn) for p in made]) @ coef.T
        tests += zip(made, (scores + intercept).clip(LOWEST, HIGHEST)[:, -1], strict=True)
    held_out = held_out.clip(LOWEST, HIGHEST)
    coef, intercept = _fit_ridge(encoder, rated, x, truth, seed)
    card = {
        **_card("judge", encoder, seed, replies),
        "replies_fitted": len(rated),
        "regularisation_alpha": JUDGE_ALPHA,
        "degenerate_replies_of_each_kind": DEGENERATE,
        "held_out_conversations": judge_report(truth, held_out, rated),
        "degenerate_probes": _probe_report(tests, truth[:, -1], held_out[:, -1]),
    }
    heads = _heads(OUTPUTS, coef, intercept, np.zeros(len(OUTPUTS)), REPLY_FEATURES, encoder)
    return Fitted(heads=heads, card=card)


def judge_report(truth: Floats, found: Floats, rated: Sequence[CorpusReply]) -> dict[str, Any]:
    """Spearman of each output, overall and (aggregate) inside a prompt and inside a system."""
    prompts = [(reply.conversation_id, reply.turn_index) for reply in rated]
    systems = [reply.system for reply in rated]
    overall = {n: rounded(spearman(truth[:, i], found[:, i])) for i, n in enumerate(OUTPUTS)}
    a, b = truth[:, -1], found[:, -1]
    return {
        "replies": len(rated),
        "spearman": overall,
        "aggregate_spearman_within_prompt": rounded(grouped_spearman(a, b, prompts)),
        "aggregate_spearman_within_system": rounded(grouped_spearman(a, b, systems)),
        "aggregate_mean_absolute_error": round(float(np.abs(a - b).mean()), 4),
    }


def assign_folds(conversations: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Fold in [0, FOLDS) of every row; all rows of a conversation share one."""
    names = sorted(set(conversations))
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {names[position]: rank % FOLDS for rank, position in enumerate(order)}
    return np.array([fold[name] for name in conversations])


def _fit_logistic(x: Floats, truth: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    coef, intercept = np.zeros((truth.shape[1], x.shape[1])), np.zeros(truth.shape[1])
    for k in range(truth.shape[1]):
        if truth[:, k].all() or not truth[:, k].any():
            # One class only: say it always, with a finite certainty.
            intercept[k] = 6.0 if truth[:, k].all() else -6.0
            continue
        model = LogisticRegression(C=TAGGER_C, max_iter=500, tol=1e-4).fit(x, truth[:, k])
        coef[k], intercept[k] = model.coef_[0], model.intercept_[0]
    return coef, intercept


def _fit_ridge(
    encoder: Encoder, replies: Sequence[CorpusReply], x: Floats, truth: Floats, seed: int
) -> tuple[Floats, Floats]:
    extra = labelled(replies, DEGENERATE, seed)
    bad_x = _judge_x(encoder, [(d.reply.sentences, d.reply.seeker_turn) for d in extra])
    bad_y = np.array([item.ratings for item in extra]).reshape(-1, truth.shape[1])
    model = Ridge(alpha=JUDGE_ALPHA).fit(np.vstack([x, bad_x]), np.vstack([truth, bad_y]))
    return np.asarray(model.coef_), np.asarray(model.intercept_)


def _judge_x(encoder: Encoder, replies: Sequence[tuple[Sequence[str], str]]) -> Floats:
    features = judge_features(encoder, [s for s, _ in replies], [turn for _, turn in replies])
    return features.astype(np.float64)


def _probe_report(
    tests: Sequence[tuple[Degenerate, float]], truth: Floats, held_out: Floats
) -> dict[str, Any]:
    good = held_out[truth >= GOOD_RATING]
    report: dict[str, Any] = {"good_replies": len(good), "good_mean": round(float(good.mean()), 3)}
    for kind in sorted({probe.kind for probe, _ in tests}):
        scores = np.array([score for probe, score in tests if probe.kind == kind])
        above = float((good[None, :] > scores[:, None]).mean())
        report[kind] = {
            "probes": len(scores),
            "mean": round(float(scores.mean()), 3),
            "max": round(float(scores.max()), 3),
            "good_replies_ranked_above": round(above, 4),
        }
    return report


def _card(part: str, encoder: Encoder, seed: int, replies: Sequence[CorpusReply]) -> dict[str, Any]:
    return {
        "part": part,
        "command": f"python -m rewards.fit upstream=PATH part={part} seed={seed}",
        "seed": seed,
        "weights": "fitted on all conversations after cross-validation at the same settings",
        "validation": f"{FOLDS} folds by conversation; thresholds chosen on held-out predictions",
        "sources": _SOURCES,
        "encoder": {
            "name": encoder.identity.name,
            "revision": encoder.identity.revision,
            **encoder.identity.details,
        },
        "systems": len({reply.system for reply in replies}),
        "conversations": len({reply.conversation_id for reply in replies}),
        "replies": len(replies),
        "sentence_count_agreement": round(agreement(replies), 4),
    }


def _heads(
    outputs: Sequence[str],
    coef: Floats,
    intercept: Floats,
    thresholds: Floats,
    features: str,
    encoder: Encoder,
) -> Heads:
    return Heads(
        outputs=tuple(outputs),
        coef=coef.astype(np.float32),
        intercept=intercept.astype(np.float32),
        thresholds=thresholds.astype(np.float32),
        features=features,
        encoder_name=encoder.identity.name,
        encoder_dim=encoder.dim,
    )


def _unseen(texts: Sequence[str], folds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows whose text occurs in no other fold: stock sentences do not flatter these."""
    places: dict[str, set[int]] = {}
    for text, fold in zip(texts, folds.tolist(), strict=True):
        places.setdefault(text, set()).add(fold)
    return np.array([len(places[text]) == 1 for text in texts])


def _indicator(tactics: Sequence[frozenset[str]]) -> NDArray[np.bool_]:
    return np.array([[name in found for name in TACTIC_NAMES] for found in tactics], bool)


def _sigmoid(x: Floats) -> Floats:
    result: Floats = 1.0 / (1.0 + np.exp(-x))
    return result
