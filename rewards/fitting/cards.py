"""The metric cards of the embedded graders: how they were fitted, how far they can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from rewards.fitting.corpus import CorpusReply, agreement
from rewards.fitting.crossfit import FOLDS, HeldOut, Judged
from rewards.fitting.fitter import FitSettings
from rewards.fitting.metrics import Floats, rounded, spearman
from rewards.fitting.validation import coverage, judge_card, partial_spearman
from rewards.graders.embedded.cues import is_question, words
from rewards.types import DIMENSIONS, GraderIdentity

ORDINARY = "gold"
"""The system whose replies people wrote."""
_SOURCES = {
    "replies, tactics, ratings": "public MINT repository (arXiv 2604.11742), MIT licence",
    "sentences labelled by people": "public MINT repository (arXiv 2604.11742), MIT licence",
    "authored replies": "data/annotated_replies of this project",
    "encoder": "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0",
}


def base_card(
    part: str,
    settings: FitSettings,
    encoder: GraderIdentity,
    replies: Sequence[CorpusReply],
    authored: Sequence[CorpusReply],
) -> dict[str, Any]:
    """What both cards have in common."""
    return {
        "part": part,
        "command": f"python -m rewards.fit upstream=PATH seed={settings.seed}",
        "settings": asdict(settings),
        "weights": "fitted on all replies after cross-validation at the same settings",
        "validation": (
            f"{FOLDS} folds; fold f learns from replies whose conversation and whose system are "
            "not in group f; figures of unseen systems are of seen conversations and vice versa, "
            "'both' of neither"
        ),
        "sources": _SOURCES,
        "encoder": {"name": encoder.name, "revision": encoder.revision, **encoder.details},
        "systems": len({reply.system for reply in replies}),
        "conversations": len({reply.conversation_id for reply in replies}),
        "replies": len(replies),
        "authored_replies": len(authored),
        "sentence_count_agreement": round(agreement(replies), 4),
    }


def judge_figures(
    held_out: HeldOut,
    replies: Sequence[CorpusReply],
    experts: Sequence[Mapping[str, tuple[float, ...]]],
    residual: Floats,
) -> dict[str, Any]:
    """Everything that was measured about the judge."""
    figures: dict[str, Any] = {}
    for name, judged in held_out.judged.items():
        own = [replies[i] for i in judged.rows]
        truth = np.array([reply.ratings for reply in own])
        prompts = [(reply.conversation_id, reply.turn_index) for reply in own]
        given = np.array([surface(reply) for reply in own])
        expected = np.sqrt(judged.spread**2 + float(residual[-1]) ** 2)
        a, b = truth[:, -1], judged.ratings[:, -1]
        figures[f"unseen_{name}"] = {
            **judge_card(truth, judged.ratings, prompts, [reply.system for reply in own]),
            "aggregate_partial_given_length_and_questions": rounded(partial_spearman(a, b, given)),
            "within_2_standard_errors": round(coverage(a, b, expected), 4),
        }
    figures["experts"] = expert_figures(held_out, replies, experts)
    figures["degenerate_replies"] = probe_figures(held_out, replies)
    return figures


def surface(reply: CorpusReply) -> tuple[float, float]:
    """Words and questions of a reply."""
    return (
        float(len(words(reply.text))),
        float(sum(is_question(sentence) for sentence in reply.sentences)),
    )


def expert_figures(
    held_out: HeldOut,
    replies: Sequence[CorpusReply],
    experts: Sequence[Mapping[str, tuple[float, ...]]],
) -> dict[str, Any]:
    """Conversation means of the human replies against the mean of the experts, by dimension.

    Once for this judge (on unseen conversations) and once for the released judge's ratings.
    """
    ours: dict[str, list[NDArray[np.float64]]] = {}
    theirs: dict[str, list[NDArray[np.float64]]] = {}
    for name in ("conversation", "both"):
        judged = held_out.judged[name]
        for row, found in zip(judged.rows, judged.ratings, strict=True):
            reply = replies[row]
            if reply.system == ORDINARY and reply.ratings is not None:
                ours.setdefault(reply.conversation_id, []).append(found)
                theirs.setdefault(reply.conversation_id, []).append(np.array(reply.ratings))
    names = [name for name in sorted(ours) if all(name in expert for expert in experts)]
    if len(names) < 3:
        return {"conversations": len(names)}
    wanted = np.array([np.mean([expert[name] for expert in experts], axis=0) for name in names])
    return {
        "conversations": len(names),
        "experts": len(experts),
        "this_judge": _agreement(wanted, np.array([np.mean(ours[n], axis=0) for n in names])),
        "released_judge": _agreement(wanted, np.array([np.mean(theirs[n], axis=0) for n in names])),
    }


def probe_figures(held_out: HeldOut, replies: Sequence[CorpusReply]) -> dict[str, Any]:
    """Aggregates of degenerate replies, and how many exceed the median human reply."""
    human = np.concatenate(
        [
            judged.ratings[[replies[i].system == ORDINARY for i in judged.rows], -1]
            for judged in _unseen_conversations(held_out)
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


def residual_spread(held_out: HeldOut, replies: Sequence[CorpusReply]) -> Floats:
    """Standard deviation [outputs] of the errors on replies unseen in conversation and system."""
    judged = held_out.judged["both"]
    truth = np.array([replies[i].ratings for i in judged.rows])
    result: Floats = (truth - judged.ratings).std(axis=0)
    return result


def _unseen_conversations(held_out: HeldOut) -> list[Judged]:
    return [held_out.judged["conversation"], held_out.judged["both"]]


def _agreement(wanted: Floats, found: Floats) -> dict[str, Any]:
    return {
        name: {
            "spearman": rounded(spearman(wanted[:, i], found[:, i])),
            "weighted_kappa": rounded(
                float(
                    cohen_kappa_score(
                        np.rint(wanted[:, i]).astype(int),
                        np.rint(found[:, i]).astype(int),
                        weights="quadratic",
                        labels=[1, 2, 3, 4, 5],
                    )
                )
            ),
        }
        for i, name in enumerate(DIMENSIONS)
    }
