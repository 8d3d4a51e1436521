"""Tactic tagger: a sentence's vector in its reply and its cues, and a calibrated head a tactic."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.graders.embedded.base import EmbeddedGrader
from rewards.graders.embedded.heads import load_heads
from rewards.graders.embedded.sentence_cues import tagger_features
from rewards.protocols import Encoder, SplitReply
from rewards.tactics import TACTIC_NAMES
from rewards.types import Failure, Reply, TaggedSentence, Tagging

WEIGHTS = "tagger.npz"
FEATURES = "sentence-3"
"""What the heads look at; raise the number with every change, fitted weights depend on it."""


class EmbeddedTagger(EmbeddedGrader[Tagging]):
    """Tags the sentences of replies on the CPU; several tactics a sentence are possible."""

    def __init__(self, encoder: Encoder, weights: str | None = None) -> None:
        """`weights` is an .npz of `rewards.fit`; None takes the shipped one.

        Raises ConfigError when the weights are missing or were fitted for another encoder.
        """
        heads = load_heads(weights, WEIGHTS, TACTIC_NAMES, FEATURES, encoder)
        super().__init__("tagger", encoder, heads)

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        """As `grade_now`, in another thread."""
        return await asyncio.to_thread(self.grade_now, replies)

    def _grade(self, replies: Sequence[SplitReply]) -> Iterator[Tagging]:
        # Without the seeker's message: one reply has one set of tags, whoever asks.
        bare = [reply._replace(seeker_turn="") for reply in replies]
        # Head by head on all sentences at once; a reply's rows are cut out again below.
        vectors_SD = np.concatenate([e.sentences_SD for e in self._encoder.encode(bare)])
        texts = [text for reply in replies for text in reply.sentences]
        rows = iter(self._heads.probabilities(tagger_features(vectors_SD, texts)))
        for reply in replies:
            yield Tagging(
                sentences=tuple(self._tagged(text, next(rows)) for text in reply.sentences)
            )

    def _tagged(self, text: str, probabilities_K: NDArray[np.float64]) -> TaggedSentence:
        present_K = probabilities_K >= self._heads.thresholds
        return TaggedSentence(
            text=text,
            tactics=tuple(n for n, found in zip(TACTIC_NAMES, present_K, strict=True) if found),
            probabilities=dict(zip(TACTIC_NAMES, probabilities_K.tolist(), strict=True)),
        )
