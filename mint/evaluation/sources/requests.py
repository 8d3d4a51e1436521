"""Where replies come from: a model here, a served one, or a file of ready replies.

A protocol asks with `ReplyRequest`s and does not know which of them answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from mint.evaluation.generation import Generation
from rewards.errors import MintError
from rewards.types import Failure


class SubjectError(MintError, RuntimeError):
    """The evaluated model does not answer at all. One unanswered prompt is a `Failure` instead."""


class ReplyKey(NamedTuple):
    """Names a reply across subjects: comparisons pair by it."""

    condition: str
    """Protocol, or one of several prompts of it."""
    conversation_id: str
    turn: int
    """0-based supporter turn."""
    sample: int


class ReplyRequest(NamedTuple):
    """One reply to be made."""

    key: ReplyKey
    messages: tuple[dict[str, str], ...]
    """Chat messages with system prompt; the last one is the user's."""
    schema: Mapping[str, Any] | None = None
    """JSON schema of the answer, for servers that can enforce one."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How replies are drawn."""

    temperature: float
    """>= 0; 0 takes the likeliest token."""
    top_p: float
    """In (0, 1]."""
    max_new_tokens: int
    """Thinking included."""
    thinking: bool
    """Passed to the chat template."""
    seed: int


class ReplySource(Protocol):
    """Anything that answers requests."""

    @property
    def identity(self) -> dict[str, Any]:
        """What answers, as plain JSON; two journals mix only when it is equal."""
        ...

    def stream(
        self, requests: Sequence[ReplyRequest], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Generation | Failure]]:
        """(position in `requests`, reply), each exactly once, in the order they are ready."""
        ...

    async def close(self) -> None:
        """Free memory and connections."""
        ...
