"""Empathy judge: vectors of a reply and surface cues, ridge heads, and a guard against tricks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.graders.embedded.base import EmbeddedGrader
from rewards.graders.embedded.cues import reply_cues
from rewards.graders.embedded.guard import guarded, tricks
from rewards.graders.embedded.heads import load_heads
from rewards.protocols import EncodedReply, Encoder, SplitReply
from rewards.types import DIMENSIONS, Failure, Rating, Reply

WEIGHTS = "judge.npz"
FEATURES = "reply-2"
"""What the heads look at; raise the number with every change, fitted weights depend on it."""
AGGREGATE = "aggregate"
OUTPUTS = (*DIMENSIONS, AGGREGATE)
LOWEST, HIGHEST = 1.0, 5.0


class EmbeddedJudge(EmbeddedGrader[Rating]):
    """Rates replies on the CPU; the aggregate has heads of its own, fitted on the aggregate."""

    def __init__(self, encoder: Encoder, weights: str | None = None) -> None:
        """`weights` is an .npz of `rewards.fit`; None takes the shipped one.

        Raises ConfigError when the weights are missing or were fitted for another encoder.
        """
        super().__init__("judge", encoder, load_heads(weights, WEIGHTS, OUTPUTS, FEATURES, encoder))

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """As `grade_now`, in another thread."""
        return await asyncio.to_thread(self.grade_now, replies)

    def _grade(self, replies: Sequence[SplitReply]) -> Iterator[Rating]:
        x = judge_features(self._encoder.encode(replies), replies)
        scores = np.clip(self._heads.scores(x).astype(np.float64), LOWEST, HIGHEST)
        spread = self._heads.spread(x)[:, OUTPUTS.index(AGGREGATE)]
        for reply, row, uncertainty in zip(replies, scores.tolist(), spread.tolist(), strict=True):
            named = dict(zip(OUTPUTS, row, strict=True))
            aggregate = named.pop(AGGREGATE)
            rating = Rating(dimensions=named, aggregate=aggregate, uncertainty=uncertainty)
            yield guarded(rating, tricks(reply))


def judge_features(
    encoded: Sequence[EncodedReply], replies: Sequence[SplitReply]
) -> NDArray[np.float32]:
    """float32 [replies, features]: pooled vectors, surface cues of each reply."""
    cues = np.array([reply_cues(reply) for reply in replies], np.float32)
    return np.hstack([np.stack([e.pooled for e in encoded]), cues])
