"""Tactic heads on the vectors of an adapted encoder, for people's way of writing as for models'.

The encoder is adapted to released replies, nearly all of them a model's. These
heads are fitted afterwards, on sentence vectors and cues, from released tags, authored replies and
annotated sentences, each source with its own weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rewards.fitting.annotated import AnnotatedSentence
from rewards.fitting.corpus import CorpusReply
from rewards.fitting.metrics import Bools, Floats, best_thresholds
from rewards.graders.embedded.sentence_cues import NUM_CUES, tagger_features
from rewards.protocols import Encoder, SplitReply
from rewards.tactics import TACTIC_NAMES

RELEASED, AUTHORED, ANNOTATED = "released", "authored", "annotated"


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """How the tactic heads are fitted; part of the card."""

    released: float = 0.3
    """Weight of a sentence with released tags."""
    authored: float = 1.0
    """Weight of a sentence of the project's own replies."""
    annotated: float = 10.0
    """Weight of a sentence in people's way of writing, as there are few."""
    vector_penalty: float = 1e-2
    """L2 penalty on coefficients of standardised vectors, beside the mean loss."""
    cue_penalty: float = 1e-3
    """The same on cues."""
    iterations: int = 60
    """Of L-BFGS."""

    def weight(self, source: str) -> float:
        """Weight of a sentence from RELEASED, AUTHORED or ANNOTATED."""
        weights = {RELEASED: self.released, AUTHORED: self.authored, ANNOTATED: self.annotated}
        return weights[source]


class Sentences(NamedTuple):
    """Labelled sentences, each read in its reply and without the seeker's message."""

    x: NDArray[np.float32]
    """[sentences, features], of `tagger_features`"""
    truth: Bools
    """[sentences, tactics]"""
    source: NDArray[np.str_]
    """[sentences], RELEASED, AUTHORED or ANNOTATED"""
    group: NDArray[np.str_]
    """[sentences], the conversation, or the seeker's message where it stands for one"""

    def rows(self, chosen: Bools) -> Sentences:
        """The chosen ones."""
        return Sentences(
            self.x[chosen], self.truth[chosen], self.source[chosen], self.group[chosen]
        )


def gather(
    encoder: Encoder,
    released: Sequence[CorpusReply],
    authored: Sequence[CorpusReply],
    annotated: Sequence[AnnotatedSentence],
) -> Sentences:
    """All labelled sentences as features."""
    parts: list[tuple[SplitReply, list[int], list[frozenset[str]], str, str]] = []
    for source, replies in ((RELEASED, released), (AUTHORED, authored)):
        for reply in replies:
            if reply.tactics is not None:
                places = list(range(len(reply.sentences)))
                known = SplitReply("", reply.sentences)
                parts.append((known, places, list(reply.tactics), source, reply.conversation_id))
    parts += [
        (SplitReply("", own.reply), [own.position], [own.tactics], ANNOTATED, own.seeker)
        for own in annotated
    ]
    encoded = encoder.encode([part[0] for part in parts])
    vectors = np.concatenate(
        [e.sentences_SD[part[1]] for e, part in zip(encoded, parts, strict=True)]
    )
    texts = [part[0].sentences[place] for part in parts for place in part[1]]
    labels = [found for part in parts for found in part[2]]
    return Sentences(
        tagger_features(vectors, texts),
        np.array([[name in found for name in TACTIC_NAMES] for found in labels], bool),
        np.array([part[3] for part in parts for _ in part[1]]),
        np.array([f"{part[3]}:{part[4]}" for part in parts for _ in part[1]]),
    )


def fit_heads(known: Sentences, settings: HeadSettings) -> tuple[Floats, Floats]:
    """Coefficients [tactics, features] and intercepts [tactics] of logistic heads, all at once.

    Deterministic.
    """
    mean, scale = known.x.mean(axis=0), known.x.std(axis=0) + 1e-3
    x = torch.from_numpy(((known.x - mean) / scale).astype(np.float32))
    truth = torch.from_numpy(known.truth.astype(np.float32))
    weight = torch.tensor([settings.weight(str(s)) for s in known.source], dtype=torch.float32)
    weight = (weight / weight.sum())[:, None]
    penalty = torch.full((x.shape[1], 1), settings.vector_penalty)
    penalty[x.shape[1] - NUM_CUES :] = settings.cue_penalty
    coef = torch.zeros(x.shape[1], truth.shape[1], requires_grad=True)
    intercept = torch.zeros(truth.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [coef, intercept],
        max_iter=settings.iterations,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        each = functional.binary_cross_entropy_with_logits(
            x @ coef + intercept, truth, reduction="none"
        )
        total = (each * weight).sum() + (penalty * coef**2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    raw = coef.detach().numpy().T.astype(np.float64) / scale
    return raw, intercept.detach().numpy().astype(np.float64) - raw @ mean


def held_out_scores(known: Sentences, settings: HeadSettings, folds: NDArray[np.int64]) -> Floats:
    """Scores [sentences, tactics] by heads that were fitted on the other folds.

    A sentence in fold -1 is learnt from every time and its scores are 0.
    """
    scores = np.zeros(known.truth.shape)
    for fold in range(int(folds.max()) + 1):
        own = folds == fold
        coef, intercept = fit_heads(known.rows(~own), settings)
        scores[own] = known.x[own] @ coef.T + intercept
    return scores


def folds_by_group(known: Sentences, number: int, seed: int) -> NDArray[np.int64]:
    """A fold in [0, number) for each sentence; a conversation is never divided."""
    names, place = np.unique(known.group, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    result: NDArray[np.int64] = (np.argsort(order) % number)[place]
    return result


def thresholds_for_all(known: Sentences, probabilities: Floats) -> Floats:
    """Cut-offs [tactics] with the best mean macro-F1 over the sources, each counting the same."""
    sources = [known.source == name for name in np.unique(known.source)]
    return best_thresholds(known.truth, probabilities, sources)
