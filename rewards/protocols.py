"""The two grader seams. Anything that has these methods can grade training and evaluation.

Batch in, batch out, same order and length. A reply that cannot be graded is a `Failure` in its
place; an exception means that the grader itself is unusable and ends the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rewards.types import (
    Failure,
    GraderIdentity,
    Rating,
    Reply,
    ScalarRating,
    ServerHealth,
    Tagging,
)


@runtime_checkable
class TacticTagger(Protocol):
    """Finds the tactics of each sentence of a reply."""

    @property
    def identity(self) -> GraderIdentity: ...

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]: ...


@runtime_checkable
class EmpathyJudge(Protocol):
    """Rates a reply: on the six dimensions of Lend-an-Ear, or with the scalar of a reward model."""

    @property
    def identity(self) -> GraderIdentity: ...

    async def rate(self, replies: Sequence[Reply]) -> Sequence[Rating | ScalarRating | Failure]: ...


@runtime_checkable
class ServedGrader(Protocol):
    """A grader that depends on servers, which can be checked before work starts."""

    @property
    def identity(self) -> GraderIdentity: ...

    async def check(self) -> None:
        """Raise ConfigError unless the servers are there and are the right ones.

        Afterwards `identity` holds what the servers say about themselves.
        """
        ...

    def probe(self) -> list[ServerHealth]:
        """Whether each server answers now; takes seconds at most and never raises."""
        ...


class SplitReply(NamedTuple):
    """What an encoder reads of a reply."""

    seeker_turn: str
    """The seeker's message before it; "" when there is none."""
    sentences: tuple[str, ...]
    """At least one."""


class EncodedReply(NamedTuple):
    """Vectors of a reply and its sentences, each sentence read in the context of the reply."""

    sentences_SD: NDArray[np.float32]
    """[sentences, dim]"""
    pooled: NDArray[np.float32]
    """[3 dim]: mean over the reply's tokens, maximum over its sentences, and the first token."""


class Encoder(Protocol):
    """Turns replies into vectors."""

    @property
    def identity(self) -> GraderIdentity: ...

    @property
    def dim(self) -> int: ...

    @property
    def plain(self) -> Encoder:
        """The same encoder as it was before it was fitted to grading."""
        ...

    def encode(self, replies: Sequence[SplitReply]) -> list[EncodedReply]:
        """One result a reply, in order."""
        ...
