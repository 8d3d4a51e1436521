"""Empathy judge: vectors of a reply and surface cues, ridge heads, and a guard against tricks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.graders.embedded.cues import reply_cues
from rewards.graders.embedded.guard import guarded, tricks
from rewards.graders.embedded.heads import load_heads
from rewards.graders.embedded.identity import embedded_identity
from rewards.graders.embedded.split import split_reply
from rewards.protocols import EncodedReply, Encoder, SplitReply
from rewards.types import DIMENSIONS, Failure, GraderIdentity, Rating, Reply

WEIGHTS = "judge.npz"
FEATURES = "reply-2"
"""What the heads look at; raise the number with every change, fitted weights depend on it."""
AGGREGATE = "aggregate"
OUTPUTS = (*DIMENSIONS, AGGREGATE)
LOWEST, HIGHEST = 1.0, 5.0


class EmbeddedJudge:
    """Rates replies on the CPU; the aggregate has heads of its own, fitted on the aggregate."""

    def __init__(self, encoder: Encoder, weights: str | None = None) -> None:
        """`weights` is an .npz of `rewards.fit`; None takes the shipped one.

        Raises ConfigError when the weights are missing or were fitted for another encoder.
        """
        self._encoder = encoder
        self._heads = load_heads(weights, WEIGHTS, OUTPUTS, FEATURES, encoder)

    @property
    def identity(self) -> GraderIdentity:
        """Hash of the heads, with name and hashes of the encoder."""
        return embedded_identity("judge", self._heads.revision, self._encoder.identity)

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """A Rating for each reply, in order; Failure "empty" for one without a sentence."""
        return await asyncio.to_thread(self.rate_now, replies)

    def rate_now(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """As `rate`, in the calling thread."""
        split = [split_reply(reply) for reply in replies]
        known = [reply for reply in split if reply.sentences]
        ratings = iter(self._rate(known)) if known else iter(())
        return [
            next(ratings) if reply.sentences else Failure("empty", "the reply has no sentence")
            for reply in split
        ]

    def _rate(self, replies: Sequence[SplitReply]) -> list[Rating]:
        x = judge_features(self._encoder.encode(replies), replies)
        scores = np.clip(self._heads.scores(x).astype(np.float64), LOWEST, HIGHEST)
        spread = self._heads.spread(x)[:, OUTPUTS.index(AGGREGATE)]
        rated = []
        for reply, row, uncertainty in zip(replies, scores.tolist(), spread.tolist(), strict=True):
            named = dict(zip(OUTPUTS, row, strict=True))
            aggregate = named.pop(AGGREGATE)
            rating = Rating(dimensions=named, aggregate=aggregate, uncertainty=uncertainty)
            rated.append(guarded(rating, tricks(reply)))
        return rated


def judge_features(
    encoded: Sequence[EncodedReply], replies: Sequence[SplitReply]
) -> NDArray[np.float32]:
    """float32 [replies, features]: pooled vectors, surface cues of each reply."""
    cues = np.array([reply_cues(reply) for reply in replies], np.float32)
    return np.hstack([np.stack([e.pooled for e in encoded]), cues])
