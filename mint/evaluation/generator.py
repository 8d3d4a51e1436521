"""What generators of replies have in common: tokenizer, prompts, end tokens, decoding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any, Self

import torch
from transformers import AutoTokenizer

from mint.config.evaluation import GenerationConfig
from mint.evaluation.generation import Generation, Prompt
from mint.policy.chat import refuses_system, render_chat
from mint.policy.replies import decode_reply
from mint.shell.console import progress_bar, say
from rewards.errors import ConfigError
from rewards.text import visible_reply


class Generator(ABC):
    """A loaded policy. Use as a context manager: leaving it frees the model's memory."""

    settings: GenerationConfig
    eos_ids: tuple[int, ...]
    context: int
    """Most tokens of prompt and reply together."""

    def __init__(self, model_path: str | Path, settings: GenerationConfig) -> None:
        """Raises ConfigError when there is no tokenizer with a chat template."""
        self.settings = settings
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(model_path, padding_side="left")
        except (OSError, ValueError) as error:
            raise cannot_load(model_path, error) from error
        if self.tokenizer.chat_template is None:
            raise ConfigError(f"the tokenizer of {model_path} has no chat template")
        if refuses_system(self.tokenizer) is not None:
            say(f"{model_path} takes no system message: it goes before the first user message")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Free the model's memory."""

    @abstractmethod
    def batches(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[int, list[Generation]]]]:
        """(position of a prompt, its `samples_per_prompt` replies), as they are done."""

    @abstractmethod
    def tokens(self, ids: list[int], key: str) -> Iterator[list[int]]:
        """The tokens of one reply to an encoded prompt, all so far after each new one; an end token
        is kept. The same reply as the first sample of `batches`."""

    def stream(self, prompt: Prompt) -> Iterator[Generation]:
        """One reply as it grows; the last is the whole one, and `truncated` counts only there."""
        text = self.render(prompt)
        for tokens in self.tokens(self.encode(text), prompt.key):
            yield self.decode(text, tokens)

    def encode(self, text: str) -> list[int]:
        """Tokens of a rendered prompt."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def generate(self, prompts: Sequence[Prompt], title: str = "replies") -> list[list[Generation]]:
        """`samples_per_prompt` replies to each prompt, in the order of `prompts`.

        Shows its progress on stderr.
        """
        with progress_bar(transient=True) as progress:
            total = len(prompts) * self.settings.samples_per_prompt
            task = progress.add_task(title, total=total)
            return self.replies(prompts, lambda made: progress.advance(task, made))

    def replies(
        self, prompts: Sequence[Prompt], advance: Callable[[int], None]
    ) -> list[list[Generation]]:
        """The same; `advance` is told how many more replies there are."""
        replies: list[list[Generation]] = [[] for _ in prompts]
        for batch in self.batches(prompts):
            for index, own in batch:
                replies[index] = own
                advance(len(own))
        return replies

    def render(self, prompt: Prompt) -> str:
        """The prompt as text, by the tokenizer's chat template."""
        return render_chat(
            self.tokenizer, prompt.messages, enable_thinking=self.settings.enable_thinking
        )

    def decode(self, prompt: str, tokens: Sequence[int]) -> Generation:
        """The reply to a rendered prompt; without an end token it was cut off."""
        end = next((i for i, token in enumerate(tokens) if token in self.eos_ids), None)
        raw = decode_reply(self.tokenizer, prompt, tokens[:end])
        visible = visible_reply(raw).text
        count = len(self.tokenizer(visible, add_special_tokens=False)["input_ids"])
        return Generation(raw, count if visible else 0, end is None)


def open_generator(
    model_path: str | Path, settings: GenerationConfig, models: int = 1
) -> Generator:
    """The generator that `mint.evaluation.engine` asks for; `models`: how many share the GPUs.
    Raises ConfigError."""
    if chosen_engine(settings.engine) == "vllm":
        from mint.evaluation.generate_vllm import VllmGenerator

        return VllmGenerator(model_path, settings, models)
    from mint.evaluation.generate import ReplyGenerator

    return ReplyGenerator(model_path, settings)


def chosen_engine(engine: str) -> str:
    """vllm or transformers. Raises ConfigError for vllm where it is not installed."""
    installed = util.find_spec("vllm") is not None
    if engine == "auto":
        on_gpu = installed and "+cpu" not in metadata.version("vllm") and torch.cuda.is_available()
        return "vllm" if on_gpu else "transformers"
    if engine == "vllm" and not installed:
        raise ConfigError("engine=vllm, but vllm is not installed; use engine=transformers")
    return engine


def cannot_load(model_path: str | Path, error: Exception) -> ConfigError:
    """The error of a model that does not load."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return ConfigError(f"model {model_path} cannot be loaded: {first}")


def eos_ids(generation_config: Any, tokenizer: Any) -> tuple[int, ...]:
    """Tokens that end a reply. Raises ConfigError when there is none."""
    configured = generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    ids = [*ids, tokenizer.eos_token_id]
    unique = tuple(dict.fromkeys(i for i in ids if i is not None))
    if not unique:
        raise ConfigError("the model has no end-of-sequence token (generation_config.json)")
    return unique
