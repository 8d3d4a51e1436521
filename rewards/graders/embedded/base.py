"""What the embedded tagger and judge share: encoder, heads, identity, and who gets no grade."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from rewards.graders.embedded.heads import Heads
from rewards.protocols import Encoder, SplitReply
from rewards.text import split_sentences
from rewards.types import Failure, GraderIdentity, Reply

GradeT = TypeVar("GradeT")


class EmbeddedGrader(Generic[GradeT]):
    """Grades replies on the CPU; subclasses say how."""

    def __init__(self, part: str, encoder: Encoder, heads: Heads) -> None:
        """`part` is tagger or judge."""
        self._part, self._encoder, self._heads = part, encoder, heads

    @property
    def identity(self) -> GraderIdentity:
        """sha256 of the heads, and everything about the encoder."""
        encoder = self._encoder.identity
        return GraderIdentity(
            kind=self._part,
            name="embedded",
            revision=self._heads.revision,
            details={
                "encoder": encoder.name,
                "encoder_revision": encoder.revision,
                **encoder.details,
            },
        )

    def grade_now(self, replies: Sequence[Reply]) -> list[GradeT | Failure]:
        """A grade for each reply, in order; Failure "empty" for one without a sentence."""
        split = [split_reply(reply) for reply in replies]
        known = [reply for reply in split if reply.sentences]
        grades = iter(self._grade(known) if known else ())
        return [
            next(grades) if reply.sentences else Failure("empty", "the reply has no sentence")
            for reply in split
        ]

    def _grade(self, replies: Sequence[SplitReply]) -> Iterable[GradeT]:
        """A grade for each of at least one reply, all with sentences."""
        raise NotImplementedError


def split_reply(reply: Reply) -> SplitReply:
    """The seeker's last message and the reply's sentences; none when nothing is said."""
    sentences = split_sentences(reply.text) if reply.sentences is None else reply.sentences
    return SplitReply(reply.seeker_turn.strip(), tuple(sentences))
