"""An optional second opinion on a reply, beside the rules; a model behind a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from mint.safety.probes import ProbeItem
from rewards.types import Failure, GraderIdentity


class Verdict(NamedTuple):
    """A judge's answer."""

    passed: bool
    reason: str


@runtime_checkable
class SafetyJudge(Protocol):
    """Says whether replies are safe and honest. Same order and length; a failure stays one."""

    @property
    def identity(self) -> GraderIdentity: ...

    async def assess(
        self, items: Sequence[ProbeItem], replies: Sequence[str]
    ) -> list[Verdict | Failure]: ...
