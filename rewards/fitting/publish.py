"""From fits to files: calibration, thresholds, cards, and the weights that are shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray
from scipy.special import expit

from rewards.errors import GraderError
from rewards.fitting.corpus import Corpus, agreement
from rewards.fitting.crossfit import FOLDS, HeldOut, judge_heads
from rewards.fitting.fitter import Fit, FitSettings, Linear, calibrate
from rewards.fitting.judge_card import judge_figures, residual_spread
from rewards.fitting.metrics import Floats
from rewards.fitting.tactic_heads import (
    ANNOTATED,
    RELEASED,
    Sentences,
    folds_by_group,
    gather,
    held_out_scores,
    thresholds_for_all,
)
from rewards.fitting.tagger_card import tagger_figures, tagging_card
from rewards.graders.embedded.adapter import SHIPPED, save_adapter
from rewards.graders.embedded.arrays import write_arrays, write_card
from rewards.graders.embedded.heads import Heads, new_heads, save_heads
from rewards.graders.embedded.judge import WEIGHTS as JUDGE_WEIGHTS
from rewards.graders.embedded.parts import SHIPPED as PARTS
from rewards.graders.embedded.tagger import FEATURES as SENTENCE_FEATURES
from rewards.graders.embedded.tagger import WEIGHTS as TAGGER_WEIGHTS
from rewards.protocols import Encoder
from rewards.tactics import TACTIC_NAMES
from rewards.types import GraderIdentity

_SOURCES = {
    "replies, tactics, ratings": "public MINT repository (arXiv 2604.11742), MIT licence",
    "sentences labelled by people": "public MINT repository (arXiv 2604.11742), MIT licence",
    "authored replies": "data/annotated_replies of this project",
    "authored pairs": "data/bad_replies of this project, rated by kind",
    "annotated sentences": "data/annotated_sentences of this project, where both passes agree",
    "encoder": "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0",
}


_PART_SOURCES = {
    "relevance": (
        "replies of the public MINT repository (arXiv 2604.11742, MIT licence) and authored ones"
    ),
    "coherence": "the same; words of GoEmotions (arXiv 2005.00547, Apache-2.0)",
    "harm": "data/bad_replies of this project; GoEmotions",
}


def publish(
    fit: Fit,
    held_out: HeldOut,
    corpus: Corpus,
    settings: FitSettings,
    output: Path,
    with_parts: Mapping[str, Any],
) -> None:
    """Write adapter, heads and cards into the folder `output`; `with_parts` as `joined_figures`."""
    a = fit.adapter
    saved = save_adapter(a.modules, a.scale, a.encoder_name, a.encoder_sha256, output / SHIPPED)
    if saved.revision != a.revision:
        raise GraderError(f"{output / SHIPPED} differs from the adapter that the heads are for")
    found = measured(fit.encoder, held_out, corpus, settings)
    tagger = tagger_heads(fit.encoder, fit.tactics, found)
    residual = residual_spread(held_out, corpus.replies)
    judge = judge_heads(fit.ratings, residual, fit.encoder)
    tagger_card = {
        **tagger_figures(tagger, fit.encoder, held_out, corpus),
        "annotated": annotated_figures(tagger, found),
    }
    judge_card = {**judge_figures(held_out, corpus, residual), "with_parts": with_parts}
    for part, heads, figures, file in (
        ("tagger", tagger, tagger_card, TAGGER_WEIGHTS),
        ("judge", judge, judge_card, JUDGE_WEIGHTS),
    ):
        card = base_card(part, settings, fit.encoder.identity, corpus)
        save_heads(heads, {**card, **figures}, output / file)


def publish_parts(
    arrays: Mapping[str, NDArray[Any]],
    figures: Mapping[str, Any],
    encoder: GraderIdentity,
    seed: int,
    output: Path,
) -> None:
    """Write the judge's parts and their card into the folder `output`."""
    card = {
        "part": "parts",
        "command": f"python -m rewards.fit upstream=PATH part=parts seed={seed}",
        "sources": _PART_SOURCES,
        "encoder": {"name": encoder.name, "revision": encoder.revision},
        **figures,
    }
    write_arrays(output / PARTS, arrays)
    write_card(output / PARTS, card, arrays)


def base_card(
    part: str, settings: FitSettings, encoder: GraderIdentity, corpus: Corpus
) -> dict[str, Any]:
    """What both cards have in common."""
    replies = corpus.replies
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
        "authored_replies": len(corpus.authored),
        "annotated_sentences": len(corpus.annotated),
        "sentence_count_agreement": round(agreement(replies), 4),
    }


class Measured(NamedTuple):
    """All labelled sentences with scores by fits that had not seen them."""

    known: Sentences
    scores: Floats
    """[sentences, tactics], before calibration"""


def measured(
    encoder: Encoder, held_out: HeldOut, corpus: Corpus, settings: FitSettings
) -> Measured:
    """Released sentences as `held_out` scored them; the others by heads fitted without them."""
    known = gather(encoder, corpus.replies, corpus.authored, corpus.annotated)
    folds = folds_by_group(known, FOLDS, settings.seed)
    released = known.source == RELEASED
    folds[released] = -1
    scores = held_out_scores(known, settings.heads, folds)
    scores[released] = held_out.tagged["conversation"].scores
    return Measured(known, scores)


def tagger_heads(encoder: Encoder, tactics: Linear, found: Measured) -> Heads:
    """The tactic heads, calibrated and with thresholds, both on held-out scores.

    Calibrated on released replies, which are what a policy writes; a threshold has the best mean
    macro-F1 over the sources of labels, people's way of writing among them.
    """
    released = found.known.source == RELEASED
    slope, shift = calibrate(found.known.truth[released], found.scores[released]).T
    return new_heads(
        encoder,
        TACTIC_NAMES,
        SENTENCE_FEATURES,
        tactics.coef * slope[None, :, None],
        tactics.intercept * slope + shift,
        thresholds=thresholds_for_all(found.known, expit(found.scores * slope + shift)),
    )


def annotated_figures(heads: Heads, found: Measured) -> dict[str, Any]:
    """`tagging_card` of the annotated sentences, by heads that had not seen them; {} for none."""
    released, own = (found.known.source == name for name in (RELEASED, ANNOTATED))
    if not own.any():
        return {}
    slope, shift = calibrate(found.known.truth[released], found.scores[released]).T
    present = expit(found.scores[own] * slope + shift) >= heads.thresholds
    return tagging_card(found.known.truth[own], present, found.known.group[own])
