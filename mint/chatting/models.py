"""Loaded models whose replies stream.

All models of a process compute in one thread, in which they were loaded: torch keeps a pool of
workers for every thread that computes. Two replies that stream at the same time take turns, a token
each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from mint.config.evaluation import GenerationConfig
from mint.evaluation.generation import Generation, Prompt
from rewards.thoughts import opened_thought

if TYPE_CHECKING:
    from mint.evaluation.generator import Generator

ResultT = TypeVar("ResultT")
_GREETING = {"role": "user", "content": "Hello."}


class ChatModel:
    """One model; one reply at a time."""

    def __init__(self, generator: Generator, thread: ThreadPoolExecutor) -> None:
        self._generator, self._thread = generator, thread
        self._busy = asyncio.Lock()
        self.opened = opened_thought(generator.render(Prompt("", (_GREETING,))))
        """What the template writes of a thought before each reply; "" for most."""

    @property
    def context(self) -> int:
        """Most tokens of prompt and reply together."""
        return self._generator.context

    def length(self, messages: tuple[dict[str, str], ...]) -> int:
        """Tokens of the messages as a prompt."""
        return len(self._generator.encode(self._generator.render(Prompt("", messages))))

    async def stream(self, prompt: Prompt) -> AsyncIterator[Generation]:
        """The reply as it grows; the last is the whole one."""
        async with self._busy:
            growing = self._generator.stream(prompt)
            try:
                while (made := await self._in_thread(lambda: next(growing, None))) is not None:
                    yield made
            finally:
                # A generator that the reader has left must give its memory back there, too.
                close: Any = growing.close  # type: ignore[attr-defined]
                await asyncio.shield(self._in_thread(close))

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class Models:
    """The models of a process. Use as a context manager: leaving it frees their memory."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._generators: list[Generator] = []

    def __enter__(self) -> Models:
        return self

    def __exit__(self, *exception: object) -> None:
        for generator in self._generators:
            self._thread.submit(generator.close).result()
        self._thread.shutdown()

    def load(self, path: str, settings: GenerationConfig, models: int) -> ChatModel:
        """A model; `models`: how many will be loaded in all. Raises ConfigError."""

        def load() -> Generator:
            # Imported here: torch and transformers take seconds.
            from mint.evaluation.generator import open_generator

            return open_generator(path, settings, models)

        generator = self._thread.submit(load).result()
        self._generators.append(generator)
        return ChatModel(generator, self._thread)
