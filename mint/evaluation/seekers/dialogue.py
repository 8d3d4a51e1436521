"""What a seeker is asked, and what every seeker can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from mint.data.banks import Scenario
from rewards.types import Failure, Message


class Dialogue(NamedTuple):
    """A conversation that waits for the seeker."""

    conversation_id: str
    scenario: Scenario
    history: tuple[Message, ...]
    """All messages so far; empty, or ending with the supporter's."""
    tactics: tuple[frozenset[str], ...]
    """Tactics of each supporter message."""


class Seeker(Protocol):
    """Somebody the model talks with."""

    @property
    def identity(self) -> dict[str, Any]:
        """What speaks, as plain JSON."""
        ...

    async def say(self, dialogues: Sequence[Dialogue]) -> list[str | Failure]:
        """The next message of each dialogue."""
        ...
