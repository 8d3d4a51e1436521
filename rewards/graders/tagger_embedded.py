"""Tactic tagger: a sentence vector with surface cues, and one logistic head a tactic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from rewards.graders.features import SENTENCE_FEATURES, sentence_features
from rewards.graders.heads import load_heads
from rewards.protocols import Encoder
from rewards.tactics import TACTIC_NAMES
from rewards.text import split_sentences
from rewards.types import Failure, GraderIdentity, Reply, TaggedSentence, Tagging

WEIGHTS = "tagger.npz"


class EmbeddedTagger:
    """Tags sentences on the CPU. A tag depends on its sentence alone, so vectors are reusable."""

    def __init__(self, encoder: Encoder, weights: str | None = None) -> None:
        """`weights` is an .npz of `rewards.fit`; None takes the shipped one.

        Raises ConfigError when the weights are missing or were fitted for another encoder.
        """
        self._encoder = encoder
        self._heads = load_heads(weights, WEIGHTS, TACTIC_NAMES, SENTENCE_FEATURES, encoder)

    @property
    def identity(self) -> GraderIdentity:
        """Hash of the heads, with name and hash of the encoder."""
        return GraderIdentity(
            kind="tagger",
            name="embedded",
            revision=self._heads.revision,
            details={
                "encoder": self._encoder.identity.name,
                "encoder_revision": self._encoder.identity.revision,
                **self._encoder.identity.details,
            },
        )

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        """A Tagging for each reply, in order; Failure "empty" for one without a sentence."""
        return await asyncio.to_thread(self.tag_now, replies)

    def tag_now(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        """As `tag`, in the calling thread."""
        split = [
            split_sentences(reply.text) if reply.sentences is None else list(reply.sentences)
            for reply in replies
        ]
        tagged = iter(self.tag_sentences([text for texts in split for text in texts]))
        return [
            Tagging(sentences=tuple(next(tagged) for _ in texts))
            if texts
            else Failure("empty", "the reply has no sentence")
            for texts in split
        ]

    def tag_sentences(self, sentences: Sequence[str]) -> list[TaggedSentence]:
        """Tactics (in taxonomy order) and probabilities of each sentence."""
        if not sentences:
            return []
        x = sentence_features(self._encoder.encode(sentences), sentences)
        probabilities_SK = 1.0 / (1.0 + np.exp(-self._heads.scores(x).astype(np.float64)))
        present_SK = probabilities_SK >= self._heads.thresholds
        return [
            TaggedSentence(
                text=text,
                tactics=tuple(n for n, found in zip(TACTIC_NAMES, present, strict=True) if found),
                probabilities=dict(zip(TACTIC_NAMES, row.tolist(), strict=True)),
            )
            for text, present, row in zip(sentences, present_SK, probabilities_SK, strict=True)
        ]
