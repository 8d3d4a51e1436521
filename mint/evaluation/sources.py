"""Where replies come from: a model here, a served one, or a file of ready replies.

A protocol asks with `ReplyRequest`s and does not know which of them answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.generation import Generation, Prompt
from mint.policy.model_files import is_local
from mint.shell.files import sha256_file
from rewards.errors import ConfigError, MintError
from rewards.types import Failure

if TYPE_CHECKING:
    from mint.evaluation.generate import ReplyGenerator


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


class LocalModel:
    """A model folder or hub name, generated with transformers. Loaded when first needed."""

    def __init__(self, model: str, batch_size: int) -> None:
        """Raises ConfigError when `model` looks like a folder but is none."""
        path = Path(model).expanduser()
        if is_local(model) and not (path / "config.json").is_file():
            raise ConfigError(
                f"model {model} is not a model folder (it has no config.json); give a folder, or "
                "organisation/name of the model hub"
            )
        self._model = str(path) if path.exists() else model
        self._batch_size = batch_size
        self._generator: ReplyGenerator | None = None
        self._identity: dict[str, Any] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Name and, of a folder, the hash of its weights."""
        if self._identity is None:
            path = Path(self._model)
            weights = sorted(path.glob("*.safetensors")) if path.is_dir() else []
            self._identity = {
                "kind": "model",
                "model": self._model,
                "weights": {file.name: sha256_file(file) for file in weights},
            }
        return self._identity

    async def stream(
        self, requests: Sequence[ReplyRequest], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Generation | Failure]]:
        """See `ReplySource`. A reply depends on seed and key, never on its batch."""
        if not requests:
            return
        generator = self._load(sampling)
        prompts = [Prompt(_local_key(request.key), request.messages) for request in requests]
        # Not in a thread: torch keeps a pool of workers for every thread that computes.
        for batch in generator.batches(prompts):
            for position, (reply,) in batch:
                yield position, reply

    async def close(self) -> None:
        """Free the model's memory."""
        if self._generator is not None:
            self._generator.close()
            self._generator = None

    def _load(self, sampling: Sampling) -> ReplyGenerator:
        # Imported here: torch and transformers take seconds, and no other source needs them.
        from mint.evaluation.generate import ReplyGenerator

        settings = EvaluationConfig(
            samples_per_prompt=1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_new_tokens=sampling.max_new_tokens,
            enable_thinking=sampling.thinking,
            batch_size=self._batch_size,
            seed=sampling.seed,
        )
        if self._generator is None:
            self._generator = ReplyGenerator(self._model, settings)
        self._generator.settings = settings
        return self._generator


def _local_key(key: ReplyKey) -> str:
    # Without the condition: the same turn under two prompts then draws the same random numbers.
    return f"{key.conversation_id}/{key.turn}/{key.sample}"
