"""A model in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mint.config.evaluation import GenerationConfig
from mint.evaluation.generation import Generation, Prompt
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest, Sampling
from mint.policy.model_files import is_local
from mint.shell.files import sha256_file
from rewards.errors import ConfigError
from rewards.types import Failure

if TYPE_CHECKING:
    from mint.evaluation.generator import Generator


class LocalModel:
    """A model folder or hub name. Loaded when first needed."""

    def __init__(self, model: str, batch_size: int, engine: str = "auto") -> None:
        """Raises ConfigError when `model` looks like a folder but is none."""
        path = Path(model).expanduser()
        if is_local(model) and not (path / "config.json").is_file():
            raise ConfigError(
                f"model {model} is not a model folder (it has no config.json); give a folder, or "
                "organisation/name of the model hub"
            )
        self._model = str(path) if path.exists() else model
        self._batch_size = batch_size
        self._engine = engine
        self._generator: Generator | None = None
        self._identity: dict[str, Any] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Name, of a folder the hash of its weights, and vLLM where that generates."""
        if self._identity is None:
            from mint.evaluation.generator import chosen_engine

            path = Path(self._model)
            weights = sorted(path.glob("*.safetensors")) if path.is_dir() else []
            self._identity = {
                "kind": "model",
                "model": self._model,
                "weights": {file.name: sha256_file(file) for file in weights},
            }
            if chosen_engine(self._engine) == "vllm":
                self._identity["engine"] = "vllm"
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

    def _load(self, sampling: Sampling) -> Generator:
        settings = GenerationConfig(
            samples_per_prompt=1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_new_tokens=sampling.max_new_tokens,
            enable_thinking=sampling.thinking,
            engine=self._engine,
            batch_size=self._batch_size,
            seed=sampling.seed,
        )
        # Imported here: torch and transformers take seconds, and no other source needs them.
        from mint.evaluation.generator import open_generator

        if self._generator is None:
            self._generator = open_generator(self._model, settings)
        self._generator.settings = settings
        return self._generator


def _local_key(key: ReplyKey) -> str:
    # Without the condition: the same turn under two prompts then draws the same random numbers.
    return f"{key.conversation_id}/{key.turn}/{key.sample}"
