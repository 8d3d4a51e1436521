"""Empathy judge: pooled sentence vectors with surface cues, and one ridge head a rating."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from rewards.graders.features import REPLY_FEATURES, reply_features
from rewards.graders.heads import load_heads
from rewards.protocols import Encoder
from rewards.text import split_sentences
from rewards.types import DIMENSIONS, Failure, GraderIdentity, Rating, Reply

WEIGHTS = "judge.npz"
AGGREGATE = "aggregate"
OUTPUTS = (*DIMENSIONS, AGGREGATE)
LOWEST, HIGHEST = 1.0, 5.0


class EmbeddedJudge:
    """Rates replies on the CPU; the aggregate has a head of its own, fitted on the aggregate."""

    def __init__(self, encoder: Encoder, weights: str | None = None) -> None:
        """`weights` is an .npz of `rewards.fit`; None takes the shipped one.

        Raises ConfigError when the weights are missing or were fitted for another encoder.
        """
        self._encoder = encoder
        self._heads = load_heads(weights, WEIGHTS, OUTPUTS, REPLY_FEATURES, encoder)

    @property
    def identity(self) -> GraderIdentity:
        """Hash of the heads, with name and hash of the encoder."""
        return GraderIdentity(
            kind="judge",
            name="embedded",
            revision=self._heads.revision,
            details={
                "encoder": self._encoder.identity.name,
                "encoder_revision": self._encoder.identity.revision,
                **self._encoder.identity.details,
            },
        )

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """A Rating for each reply, in order; Failure "empty" for one without a sentence."""
        return await asyncio.to_thread(self.rate_now, replies)

    def rate_now(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """As `rate`, in the calling thread."""
        split = [
            split_sentences(reply.text) if reply.sentences is None else list(reply.sentences)
            for reply in replies
        ]
        rated = [i for i, texts in enumerate(split) if texts]
        ratings: list[Rating | Failure] = [
            Failure("empty", "the reply has no sentence") for _ in replies
        ]
        if not rated:
            return ratings
        turns = [replies[i].seeker_turn for i in rated]
        x = judge_features(self._encoder, [split[i] for i in rated], turns)
        scores = np.clip(self._heads.scores(x).astype(np.float64), LOWEST, HIGHEST)
        for i, row in zip(rated, scores.tolist(), strict=True):
            named = dict(zip(OUTPUTS, row, strict=True))
            aggregate = named.pop(AGGREGATE)
            ratings[i] = Rating(dimensions=named, aggregate=aggregate)
        return ratings


def judge_features(
    encoder: Encoder, sentences: Sequence[Sequence[str]], seeker_turns: Sequence[str]
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """float32 [replies, features]; every reply has a sentence, a seeker turn may be ""."""
    flat = [text for texts in sentences for text in texts]
    vectors = encoder.encode([*flat, *seeker_turns])
    seekers, start, rows = vectors[len(flat) :], 0, []
    for texts, turn, seeker in zip(sentences, seeker_turns, seekers, strict=True):
        known = seeker if turn.strip() else np.zeros_like(seeker)
        rows.append(reply_features(vectors[start : start + len(texts)], texts, known))
        start += len(texts)
    return np.stack(rows)
