"""A judge of counted words: ridge weights of phrases, times the chance that a reply belongs.

It shares nothing with the embedded judge but the released ratings, of which it has seen other
conversations: no encoder, no cues, no guard. What fools one need not fool the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError
from rewards.graders.embedded.arrays import Arrays, content_hash, read_arrays, require_finite
from rewards.graders.embedded.judge import AGGREGATE, OUTPUTS
from rewards.graders.lexical.vectors import (
    PHRASE_BUCKETS,
    WORD_BUCKETS,
    Floats,
    counts,
    pair_features,
    phrases,
    stems,
    unit,
)
from rewards.types import (
    HIGHEST_RATING,
    LOWEST_RATING,
    Failure,
    GraderIdentity,
    Rating,
    Reply,
)

WEIGHTS = "second_judge.npz"
FEATURES = "lexical-1"
"""What the weights belong to; raise the number with every change of the vectors."""
ENOUGH = 0.5
"""A chance to belong from here on costs nothing."""
_ARRAYS = ("phrase_idf", "coef", "intercept", "word_idf", "latent", "pair_coef", "pair_intercept")


@dataclass(frozen=True, kw_only=True, eq=False)
class LexicalWeights:
    """Fitted arrays of the judge. Suffixes as in `vectors`; O: `OUTPUTS`; F: pair features."""

    phrase_idf: Floats
    """[D phrases]"""
    coef: Floats
    """[O, D phrases]"""
    intercept: Floats
    """[O]"""
    word_idf: Floats
    """[D words]"""
    latent: Floats
    """[D words, L]"""
    pair_coef: Floats
    """[F]"""
    pair_intercept: Floats
    """[1]"""

    def as_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Ready for `write_arrays`; half precision keeps the file small."""
        arrays = {name: getattr(self, name).astype(np.float16) for name in _ARRAYS}
        return {**arrays, "features": np.array(FEATURES)}

    @classmethod
    def of(cls, arrays: Arrays, where: str) -> LexicalWeights:
        """From arrays. Raises ConfigError for missing ones, other features or wrong shapes."""
        missing = [name for name in (*_ARRAYS, "features") if name not in arrays]
        if missing:
            raise ConfigError(f"{where} lack {', '.join(missing)}")
        if str(arrays["features"]) != FEATURES:
            raise ConfigError(
                f"{where} were fitted for features {arrays['features']}, but {FEATURES} is in use; "
                "fit them with python -m rewards.fit"
            )
        found = cls(**{name: arrays[name].astype(np.float32) for name in _ARRAYS})
        latent = found.latent.shape[-1]
        shapes = {
            "phrase_idf": (PHRASE_BUCKETS,),
            "coef": (len(OUTPUTS), PHRASE_BUCKETS),
            "intercept": (len(OUTPUTS),),
            "word_idf": (WORD_BUCKETS,),
            "latent": (WORD_BUCKETS, latent),
            "pair_coef": (5 + latent,),
            "pair_intercept": (1,),
        }
        for name, shape in shapes.items():
            if getattr(found, name).shape != shape:
                raise ConfigError(
                    f"{where}: {name} has shape {getattr(found, name).shape}, not {shape}"
                )
        require_finite(where, *(getattr(found, name) for name in _ARRAYS))
        return found

    def manner(self, replies: Sequence[str]) -> Floats:
        """[N, O], each in [1, 5]: what ridge makes of the phrases."""
        table = unit(counts(map(phrases, replies), PHRASE_BUCKETS) * self.phrase_idf)
        found: Floats = np.clip(table @ self.coef.T + self.intercept, LOWEST_RATING, HIGHEST_RATING)
        return found

    def relevance(self, contexts: Sequence[str], replies: Sequence[str]) -> Floats:
        """[N] chance in [0, 1] that each reply belongs to its context."""
        own, said = (counts(map(stems, texts), WORD_BUCKETS) for texts in (contexts, replies))
        x = pair_features(own, said, self.word_idf, self.latent)
        found: Floats = 1 / (1 + np.exp(-(x @ self.pair_coef + self.pair_intercept)))
        return found


class LexicalJudge:
    """Rates replies on the CPU without any model; see the module."""

    def __init__(self, weights: str | None = None) -> None:
        """`weights` is an .npz of `rewards.fit`; None takes the shipped one. Raises ConfigError."""
        arrays, where = read_arrays(weights, WEIGHTS, "second judge's weights")
        self._weights = LexicalWeights.of(arrays, where)
        self.identity = GraderIdentity(
            kind="judge",
            name="lexical",
            revision=content_hash(arrays),
            details={"features": FEATURES},
        )

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """As `grade_now`, in another thread."""
        return await asyncio.to_thread(self.grade_now, replies)

    def grade_now(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """A rating for each reply, in order; Failure "empty" for one without a word."""
        known = [reply for reply in replies if stems(reply.text)]
        rated = iter(self._rate(known) if known else ())
        return [
            next(rated) if stems(reply.text) else Failure("empty", "the reply has no word")
            for reply in replies
        ]

    def _rate(self, replies: Sequence[Reply]) -> list[Rating]:
        texts = [reply.text for reply in replies]
        manner = self._weights.manner(texts).astype(float)
        chances = self._weights.relevance([context_of(reply) for reply in replies], texts)
        return [
            _joined(dict(zip(OUTPUTS, row, strict=True)), chance, bool(reply.history))
            for row, chance, reply in zip(
                manner.tolist(), chances.astype(float).tolist(), replies, strict=True
            )
        ]


def context_of(reply: Reply) -> str:
    """The last two messages of the seeker."""
    said = [message.content for message in reply.history if message.role == "seeker"]
    return " ".join(said[-2:])


def _joined(named: dict[str, float], chance: float, has_context: bool) -> Rating:
    """1 + (manner - 1) x min(1, chance / `ENOUGH`); manner alone without a conversation."""
    manner = named.pop(AGGREGATE)
    belongs = min(1.0, chance / ENOUGH) if has_context else 1.0
    return Rating(
        dimensions=named,
        aggregate=LOWEST_RATING + (manner - LOWEST_RATING) * belongs,
        parts={"manner": manner, "relevance": chance},
    )
