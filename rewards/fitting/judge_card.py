"""The metric card of the embedded judge: how far its ratings can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from rewards.fitting.corpus import Corpus, CorpusReply
from rewards.fitting.crossfit import HeldOut
from rewards.fitting.metrics import (
    Floats,
    coverage,
    grouped_spearman,
    partial_spearman,
    rounded,
    spearman,
)
from rewards.fitting.rated_pairs import DECENT, hands
from rewards.graders.embedded.cues import is_question, words
from rewards.graders.embedded.judge import OUTPUTS
from rewards.types import DIMENSIONS

ORDINARY = "gold"
"""The system whose replies people wrote."""


def judge_figures(held_out: HeldOut, corpus: Corpus, residual: Floats) -> dict[str, Any]:
    """Everything that was measured about the judge; `residual` as of `residual_spread`."""
    figures: dict[str, Any] = {}
    for name, judged in held_out.judged.items():
        expected = np.sqrt(judged.spread**2 + float(residual[-1]) ** 2)
        own = [corpus.replies[i] for i in judged.rows]
        figures[f"unseen_{name}"] = _agreement_with_released(own, judged.ratings, expected)
    figures["experts"] = expert_figures(held_out, corpus)
    figures["degenerate_replies"] = probe_figures(held_out, corpus.replies)
    figures["pairs_by_manner"] = pair_figures(held_out)
    return figures


def _agreement_with_released(
    replies: Sequence[CorpusReply], found: Floats, expected: Floats
) -> dict[str, Any]:
    """Rank correlations of ratings [replies, outputs] overall, inside a prompt and a system."""
    truth = np.array([reply.ratings for reply in replies])
    prompts = [(reply.conversation_id, reply.turn_index) for reply in replies]
    given = np.array([surface(reply) for reply in replies])
    a, b = truth[:, -1], found[:, -1]
    pairs = dict(zip(OUTPUTS, zip(truth.T, found.T, strict=True), strict=True))
    return {
        "replies": len(truth),
        "spearman": {name: rounded(spearman(*pair)) for name, pair in pairs.items()},
        "within_prompt": {
            name: rounded(grouped_spearman(*pair, prompts)) for name, pair in pairs.items()
        },
        "aggregate_within_system": rounded(grouped_spearman(a, b, [r.system for r in replies])),
        "aggregate_mean_absolute_error": rounded(np.abs(a - b).mean()),
        "aggregate_slope": rounded(float(np.polyfit(a, b, 1)[0])),
        "aggregate_partial_given_length_and_questions": rounded(partial_spearman(a, b, given)),
        "within_2_standard_errors": rounded(coverage(a, b, expected)),
    }


def surface(reply: CorpusReply) -> tuple[float, float]:
    """Words and questions of a reply."""
    return (
        float(len(words(reply.text))),
        float(sum(is_question(sentence) for sentence in reply.sentences)),
    )


def expert_figures(held_out: HeldOut, corpus: Corpus) -> dict[str, Any]:
    """Conversation means of the human replies against the mean of the experts, by dimension.

    Once for this judge (on unseen conversations) and once for the released judge's ratings.
    """
    pairs: dict[str, list[Floats]] = {}
    for name in ("conversation", "both"):
        judged = held_out.judged[name]
        for row, found in zip(judged.rows, judged.ratings, strict=True):
            reply = corpus.replies[row]
            if reply.system == ORDINARY and reply.ratings is not None:
                pairs.setdefault(reply.conversation_id, []).append(np.array([found, reply.ratings]))
    names = [name for name in sorted(pairs) if all(name in expert for expert in corpus.experts)]
    if len(names) < 3:
        return {"conversations": len(names)}
    wanted = np.array([np.mean([e[name] for e in corpus.experts], axis=0) for name in names])
    ours, theirs = np.stack([np.mean(pairs[name], axis=0) for name in names], axis=1)
    return {
        "conversations": len(names),
        "experts": len(corpus.experts),
        "this_judge": _agreement(wanted, ours),
        "released_judge": _agreement(wanted, theirs),
    }


def probe_figures(held_out: HeldOut, replies: Sequence[CorpusReply]) -> dict[str, Any]:
    """Aggregates of degenerate replies, and how many exceed the median human reply."""
    human = np.concatenate(
        [
            judged.ratings[[replies[i].system == ORDINARY for i in judged.rows], -1]
            for judged in (held_out.judged["conversation"], held_out.judged["both"])
        ]
    )
    if not len(human):
        return {}
    median = float(np.median(human))
    report: dict[str, Any] = {
        "human_replies": len(human),
        "human_median": round(median, 3),
        "human_mean": round(float(human.mean()), 3),
        "kinds": {},
    }
    for kind in sorted({probe.kind for probe, _ in held_out.probes}):
        scores = np.array([score for probe, score in held_out.probes if probe.kind == kind])
        report["kinds"][kind] = {
            "replies": len(scores),
            "mean": round(float(scores.mean()), 3),
            "highest": round(float(scores.max()), 3),
            "share_above_human_median": round(float((scores > median).mean()), 4),
        }
    return report


def pair_figures(held_out: HeldOut) -> dict[str, Any]:
    """By hand: mean aggregate of decent and of bad replies, and share of pairs in order."""
    figures: dict[str, Any] = {}
    for hand in hands([item for item, _ in held_out.pairs]):
        scores: dict[tuple[str, bool], list[float]] = {}
        for item, score in held_out.pairs:
            if item.hand == hand:
                scores.setdefault((item.pair, item.reply.kind == DECENT), []).append(score)
        means = {key: float(np.mean(found)) for key, found in scores.items()}
        both = [name for name, decent in means if not decent and (name, True) in means]
        if both:
            figures[hand] = {
                "pairs": len(both),
                "decent": rounded(float(np.mean([means[name, True] for name in both]))),
                "bad": rounded(float(np.mean([means[name, False] for name in both]))),
                "decent_above_bad": rounded(
                    float(np.mean([means[name, True] > means[name, False] for name in both]))
                ),
            }
    return figures


def residual_spread(held_out: HeldOut, replies: Sequence[CorpusReply]) -> Floats:
    """Standard deviation [outputs] of the errors on replies unseen in conversation and system."""
    judged = held_out.judged["both"]
    truth = np.array([replies[i].ratings for i in judged.rows])
    result: Floats = (truth - judged.ratings).std(axis=0)
    return result


def _agreement(wanted: Floats, found: Floats) -> dict[str, Any]:
    def kappa(a: Floats, b: Floats) -> float:
        whole = (np.rint(values).astype(int) for values in (a, b))
        return float(cohen_kappa_score(*whole, weights="quadratic", labels=[1, 2, 3, 4, 5]))

    return {
        name: {"spearman": rounded(spearman(a, b)), "weighted_kappa": rounded(kappa(a, b))}
        for name, a, b in zip(DIMENSIONS, wanted.T, found.T[: len(DIMENSIONS)], strict=True)
    }
