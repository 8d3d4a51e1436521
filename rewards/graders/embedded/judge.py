"""Empathy judge of a reply in its conversation: manner, relevance, coherence, harm, and a guard.

`join` says how the parts make one rating, `guard` what is refused by rule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rewards.graders.embedded.base import EmbeddedGrader, split_reply
from rewards.graders.embedded.cues import reply_cues
from rewards.graders.embedded.guard import guarded, tricks
from rewards.graders.embedded.heads import load_heads
from rewards.graders.embedded.join import joined
from rewards.graders.embedded.parts import Parts, load_parts
from rewards.protocols import EncodedReply, Encoder, SplitReply
from rewards.types import (
    DIMENSIONS,
    HIGHEST_RATING,
    LOWEST_RATING,
    Failure,
    GraderIdentity,
    Rating,
    Reply,
)

WEIGHTS = "judge.npz"
FEATURES = "reply-2"
"""What the heads look at; raise the number with every change, fitted weights depend on it."""
AGGREGATE = "aggregate"
OUTPUTS = (*DIMENSIONS, AGGREGATE)
NO_PARTS = "none"
"""Value of `parts` for a judge of manner alone."""


class EmbeddedJudge(EmbeddedGrader[Rating]):
    """Rates replies on the CPU; the aggregate has heads of its own, fitted on the aggregate."""

    def __init__(
        self, encoder: Encoder, weights: str | None = None, parts: str | Parts | None = None
    ) -> None:
        """`weights` and `parts` are .npz files of `rewards.fit`; None takes the shipped ones.

        `parts` "none" rates manner alone. Raises ConfigError when weights or parts are missing or
        were fitted for another encoder.
        """
        super().__init__("judge", encoder, load_heads(weights, WEIGHTS, OUTPUTS, FEATURES, encoder))
        if isinstance(parts, Parts):
            self._parts: Parts | None = parts
        else:
            self._parts = None if parts == NO_PARTS else load_parts(parts, encoder.plain)

    @property
    def identity(self) -> GraderIdentity:
        """As of every embedded grader, and sha256 of the parts."""
        own = super().identity
        parts = NO_PARTS if self._parts is None else self._parts.revision
        return replace(own, details={**own.details, "parts": parts})

    def grade_now(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """A rating for each reply, in order; Failure "empty" for one without a sentence."""
        found = super().grade_now(replies)
        rated = [i for i, rating in enumerate(found) if isinstance(rating, Rating)]
        split = [split_reply(replies[i]) for i in rated]
        chances: Sequence[dict[str, float]] = [{} for _ in rated]
        if self._parts is not None and rated:
            chances = self._parts.chances(split, [seeker_turns(replies[i]) for i in rated])
        for i, reply, parts in zip(rated, split, chances, strict=True):
            manner = found[i]
            assert isinstance(manner, Rating)
            found[i] = guarded(joined(manner, parts), tricks(reply))
        return found

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """As `grade_now`, in another thread."""
        return await asyncio.to_thread(self.grade_now, replies)

    def _grade(self, replies: Sequence[SplitReply]) -> Iterator[Rating]:
        x = manner_features(self._encoder, replies)
        scores = np.clip(self._heads.scores(x).astype(np.float64), LOWEST_RATING, HIGHEST_RATING)
        spread = self._heads.spread(x)[:, OUTPUTS.index(AGGREGATE)]
        for row, uncertainty in zip(scores.tolist(), spread.tolist(), strict=True):
            named = dict(zip(OUTPUTS, row, strict=True))
            aggregate = named.pop(AGGREGATE)
            yield Rating(dimensions=named, aggregate=aggregate, uncertainty=uncertainty)


def manner_features(encoder: Encoder, replies: Sequence[SplitReply]) -> NDArray[np.float32]:
    """float32 [replies, features]; the reply is read alone, in the pass that the tagger needs."""
    bare = [reply._replace(seeker_turn="") for reply in replies]
    return judge_features(encoder.encode(bare), replies)


def judge_features(
    encoded: Sequence[EncodedReply], replies: Sequence[SplitReply]
) -> NDArray[np.float32]:
    """float32 [replies, features]: pooled vectors, surface cues of each reply."""
    cues = np.array([reply_cues(reply) for reply in replies], np.float32)
    return np.hstack([np.stack([e.pooled for e in encoded]), cues])


def seeker_turns(reply: Reply) -> list[str]:
    """What the seeker has said before a reply, oldest first."""
    return [message.content for message in reply.history if message.role == "seeker"]
