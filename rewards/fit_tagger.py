"""Fit the tactic heads anew on the adapted encoder: `python -m rewards.fit_tagger upstream=PATH`.

Takes the keys of `python -m rewards.fit`. The adapter in `output` stays as it is, and so does the
judge; tagger.npz and tagger.json are written. A few minutes on two cores.

The adapter has seen the released and the authored replies, so figures of "unseen" conversations
and systems are of heads that had not seen them on vectors that had: too high. Those of annotated
sentences and of sentences labelled by people are of texts that the adapter has not seen.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from rewards.build import EncoderConfig, find_encoder
from rewards.fit import FitCommand, start
from rewards.fitting.corpus import Corpus, read_corpus
from rewards.fitting.crossfit import FOLDS, Groups, HeldOut, Tagged, assign_groups
from rewards.fitting.fitter import FitSettings, Linear
from rewards.fitting.publish import (
    Measured,
    annotated_figures,
    base_card,
    tagger_heads,
)
from rewards.fitting.tactic_heads import (
    RELEASED,
    Sentences,
    fit_heads,
    folds_by_group,
    gather,
    held_out_scores,
)
from rewards.fitting.tagger_card import tagger_figures
from rewards.graders.embedded.adapter import SHIPPED, load_adapter
from rewards.graders.embedded.encoder import ContextEncoder
from rewards.graders.embedded.heads import save_heads
from rewards.graders.embedded.tagger import WEIGHTS

_VALIDATION = (
    f"heads: {FOLDS} folds by conversation (for systems: by system) on the vectors of an adapter "
    "that had seen the released and the authored replies, which flatters unseen_conversation, "
    "unseen_sentence and unseen_system; annotated and human are of texts it had not seen; "
    "thresholds were chosen on the same held-out scores; no fit, calibration or threshold has seen "
    "human; how the adapter was fitted stands in judge.json"
)


def main(argv: Sequence[str]) -> int:
    """Exit status of the command."""
    return start(argv, __doc__, run)


def run(command: FitCommand) -> None:
    """Fit, measure and write. Raises ConfigError or DataError for unusable arguments or files."""
    corpus = read_corpus(command.upstream, command.authored, command.annotated)
    path = None if command.encoder is None else str(command.encoder)
    folder = find_encoder(EncoderConfig(path=path, name=command.name))
    adapter = load_adapter(str(command.output / SHIPPED))
    encoder = ContextEncoder(folder, name=command.name, adapter=adapter, cache_size=10_000)
    settings = FitSettings(seed=command.seed)
    known = gather(encoder, corpus.replies, corpus.authored, corpus.annotated)
    held_out, found = measure(known, corpus, settings)
    coef, intercept = fit_heads(known, settings.heads)
    heads = tagger_heads(encoder, Linear(coef[None], intercept[None]), found)
    card = {
        **base_card("tagger", settings, encoder.identity, corpus),
        "command": f"python -m rewards.fit_tagger upstream=PATH seed={settings.seed}",
        "settings": {"heads": asdict(settings.heads), "seed": settings.seed},
        "validation": _VALIDATION,
        **tagger_figures(heads, encoder, held_out, corpus),
        "annotated": annotated_figures(heads, found),
    }
    save_heads(heads, card, command.output / WEIGHTS)


def measure(known: Sentences, corpus: Corpus, settings: FitSettings) -> tuple[HeldOut, Measured]:
    """Every sentence scored by heads that had not seen its conversation, and its system."""
    groups = assign_groups(corpus.replies, settings.seed)
    rows = np.array([i for i, reply in enumerate(corpus.replies) if reply.tactics is not None])
    sizes = [len(corpus.replies[i].sentences) for i in rows]
    released = known.source == RELEASED
    folds = folds_by_group(known, FOLDS, settings.seed)
    folds[released] = np.repeat(groups.conversation[rows], sizes)
    by_conversation = held_out_scores(known, settings.heads, folds)
    folds = np.where(released, 0, -1)
    folds[released] = np.repeat(groups.system[rows], sizes)
    by_system = held_out_scores(known, settings.heads, folds)
    tagged = {
        "conversation": Tagged(rows, by_conversation[released]),
        "system": Tagged(rows, by_system[released]),
    }
    found = Measured(known, by_conversation)
    return HeldOut(Groups(*groups), {}, tagged, [], []), found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
