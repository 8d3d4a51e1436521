"""From fits to files: calibration, thresholds, cards, and the weights that are shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from scipy.special import expit

from rewards.errors import GraderError
from rewards.fitting.corpus import Corpus, agreement
from rewards.fitting.crossfit import FOLDS, HeldOut, judge_heads
from rewards.fitting.fitter import Fit, FitSettings, calibrate, tactic_labels
from rewards.fitting.judge_card import judge_figures, residual_spread
from rewards.fitting.metrics import best_thresholds
from rewards.fitting.tagger_card import tagger_figures
from rewards.graders.embedded.adapter import SHIPPED, save_adapter
from rewards.graders.embedded.arrays import content_hash, write_arrays, write_atomically
from rewards.graders.embedded.heads import Heads, new_heads, save_heads
from rewards.graders.embedded.judge import WEIGHTS as JUDGE_WEIGHTS
from rewards.graders.embedded.parts import SHIPPED as PARTS
from rewards.graders.embedded.tagger import FEATURES as SENTENCE_FEATURES
from rewards.graders.embedded.tagger import WEIGHTS as TAGGER_WEIGHTS
from rewards.tactics import TACTIC_NAMES
from rewards.types import GraderIdentity

_SOURCES = {
    "replies, tactics, ratings": "public MINT repository (arXiv 2604.11742), MIT licence",
    "sentences labelled by people": "public MINT repository (arXiv 2604.11742), MIT licence",
    "authored replies": "data/annotated_replies of this project",
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
    fit: Fit, held_out: HeldOut, corpus: Corpus, settings: FitSettings, output: Path
) -> None:
    """Write adapter, heads and cards into the folder `output`."""
    a = fit.adapter
    saved = save_adapter(a.modules, a.scale, a.encoder_name, a.encoder_sha256, output / SHIPPED)
    if saved.revision != a.revision:
        raise GraderError(f"{output / SHIPPED} differs from the adapter that the heads are for")
    tagger = tagger_heads(fit, held_out, corpus)
    residual = residual_spread(held_out, corpus.replies)
    judge = judge_heads(fit.ratings, residual, fit.encoder)
    tagger_card = tagger_figures(tagger, fit.encoder, held_out, corpus)
    judge_card = judge_figures(held_out, corpus, residual)
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
        "sha256": content_hash(arrays),
    }
    write_arrays(output / PARTS, arrays)
    text = json.dumps(card, indent=1, allow_nan=False) + "\n"
    write_atomically((output / PARTS).with_suffix(".json"), text.encode())


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
        "sentence_count_agreement": round(agreement(replies), 4),
    }


def tagger_heads(fit: Fit, held_out: HeldOut, corpus: Corpus) -> Heads:
    """The tactic heads, calibrated and with thresholds, both on held-out scores."""
    tagged = held_out.tagged["conversation"]
    truth = tactic_labels(corpus.replies, tagged.rows)
    slope, shift = calibrate(truth, tagged.scores).T
    return new_heads(
        fit.encoder,
        TACTIC_NAMES,
        SENTENCE_FEATURES,
        fit.tactics.coef * slope[None, :, None],
        fit.tactics.intercept * slope + shift,
        thresholds=best_thresholds(truth, expit(tagged.scores * slope + shift)),
    )
