"""Tactic tagger: the vector of a sentence in its reply, and one calibrated head a tactic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.graders.embedded.heads import load_heads
from rewards.graders.embedded.identity import embedded_identity
from rewards.graders.embedded.split import split_reply
from rewards.protocols import Encoder
from rewards.tactics import TACTIC_NAMES
from rewards.types import Failure, GraderIdentity, Reply, TaggedSentence, Tagging

WEIGHTS = "tagger.npz"
FEATURES = "sentence-2"
"""What the heads look at; raise the number with every change, fitted weights depend on it."""


class EmbeddedTagger:
    """Tags the sentences of replies on the CPU; several tactics a sentence are possible."""

    def __init__(self, encoder: Encoder, weights: str | None = None) -> None:
        """`weights` is an .npz of `rewards.fit`; None takes the shipped one.

        Raises ConfigError when the weights are missing or were fitted for another encoder.
        """
        self._encoder = encoder
        self._heads = load_heads(weights, WEIGHTS, TACTIC_NAMES, FEATURES, encoder)

    @property
    def identity(self) -> GraderIdentity:
        """Hash of the heads, with name and hashes of the encoder."""
        return embedded_identity("tagger", self._heads.revision, self._encoder.identity)

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        """A Tagging for each reply, in order; Failure "empty" for one without a sentence."""
        return await asyncio.to_thread(self.tag_now, replies)

    def tag_now(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        """As `tag`, in the calling thread."""
        split = [split_reply(reply) for reply in replies]
        known = [reply for reply in split if reply.sentences]
        encoded = self._encoder.encode(known) if known else []
        # Head by head on all sentences at once; a reply's rows are cut out again below.
        rows = [e.sentences_SD for e in encoded]
        probabilities = iter(self._probabilities(np.concatenate(rows)) if rows else ())
        return [
            Tagging(
                sentences=tuple(self._tagged(text, next(probabilities)) for text in r.sentences)
            )
            if r.sentences
            else Failure("empty", "the reply has no sentence")
            for r in split
        ]

    def _probabilities(self, vectors_SD: NDArray[np.float32]) -> NDArray[np.float64]:
        scores_SK = self._heads.scores(vectors_SD).astype(np.float64)
        result: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-scores_SK))
        return result

    def _tagged(self, text: str, probabilities_K: NDArray[np.float64]) -> TaggedSentence:
        present_K = probabilities_K >= self._heads.thresholds
        return TaggedSentence(
            text=text,
            tactics=tuple(n for n, found in zip(TACTIC_NAMES, present_K, strict=True) if found),
            probabilities=dict(zip(TACTIC_NAMES, probabilities_K.tolist(), strict=True)),
        )
