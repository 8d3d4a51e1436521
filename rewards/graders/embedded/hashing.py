"""An encoder without a model, for tests and for trying things."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.protocols import EncodedReply, SplitReply
from rewards.types import GraderIdentity


class HashingEncoder:
    """Bag of hashed words as unit vectors, without context: deterministic, needs no model."""

    def __init__(self, dim: int = 64, name: str = "hashing") -> None:
        self._dim = dim
        self._identity = GraderIdentity(
            kind="encoder",
            name=name,
            revision="1",
            details={"dim": dim, "dtype": "float32", "adapter": "none"},
        )

    @property
    def identity(self) -> GraderIdentity:
        """Equal for equal name and dimension."""
        return self._identity

    @property
    def dim(self) -> int:
        """Length of a sentence vector."""
        return self._dim

    @property
    def plain(self) -> HashingEncoder:
        """Itself: it has no adapter."""
        return self

    def encode(self, replies: Sequence[SplitReply]) -> list[EncodedReply]:
        """Vectors of each reply, in order."""
        return [self._encode(reply) for reply in replies]

    def _encode(self, reply: SplitReply) -> EncodedReply:
        vectors = np.stack([self._vector(text) for text in reply.sentences])
        pooled = [vectors.mean(axis=0), vectors.max(axis=0), self._vector(reply.seeker_turn)]
        return EncodedReply(vectors, np.concatenate(pooled))

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(self._dim, np.float32)
        for word in text.lower().split() or [""]:
            number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
            vector[number % self._dim] += 1.0 if number >> 63 else -1.0
        if not vector.any():
            vector[0] = 1.0
        unit: NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float32)
        return unit
