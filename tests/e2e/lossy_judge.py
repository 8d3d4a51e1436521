"""A judge that loses some replies, for `mint.judge.factory`."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from rewards.types import DIMENSIONS, Failure, GraderIdentity, Rating, Reply


class LossyJudge:
    """Fails for a quarter of the replies; an eighth it rates with what cannot be sent, so that
    their whole session raises and verl leaves them out of the batch."""

    identity = GraderIdentity(kind="custom", name="lossy", revision="0")

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        return [self._rate(reply.text) for reply in replies]

    def _rate(self, text: str) -> Rating | Failure:
        fate = zlib.crc32(text.encode()) % 8
        if fate < 2:
            return Failure("timeout", "no answer after 20 s")
        dimensions: dict[str, Any] = dict.fromkeys(DIMENSIONS, 1.0 + fate / 2)
        if fate == 7:
            dimensions["advice_giving"] = "no number"
        return Rating(dimensions=dimensions, aggregate=1.0 + fate / 2)
