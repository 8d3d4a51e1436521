"""A tagger whose server is gone, for `mint.tagger.factory`."""

from __future__ import annotations

from collections.abc import Sequence

from rewards.types import Failure, GraderIdentity, Reply, Tagging


class DeadTagger:
    """Fails for every reply."""

    identity = GraderIdentity(kind="custom", name="dead", revision="0")

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        return [Failure("timeout", "no answer after 20 s") for _ in replies]
