"""Taggers that fail on purpose, for `mint.tagger.factory`."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from rewards.build import EncoderConfig, JudgeConfig, TaggerConfig, build_graders
from rewards.protocols import TacticTagger
from rewards.types import Failure, GraderIdentity, Reply, Tagging


class FailingTagger:
    """The shipped tagger, failing for the share of replies whose checksum falls below it."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._tagger: TacticTagger = build_graders(
            EncoderConfig(), TaggerConfig(), JudgeConfig()
        ).tagger

    @property
    def identity(self) -> GraderIdentity:
        return GraderIdentity(kind="custom", name="failing", revision=str(self._share))

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        tags = await self._tagger.tag(replies)
        return [
            Failure("timeout", "no answer after 20 s")
            if zlib.crc32(reply.text.encode()) % 100 < self._share * 100
            else tag
            for reply, tag in zip(replies, tags, strict=True)
        ]


def some_fail() -> FailingTagger:
    """Fails for about one reply in three."""
    return FailingTagger(0.35)


def all_fail() -> FailingTagger:
    """Fails for every reply."""
    return FailingTagger(1.01)
