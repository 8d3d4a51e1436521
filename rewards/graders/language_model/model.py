"""Log-probabilities of replies under a causal language model, in a conversation.

What stands before the replies is read once: its keys and values serve all replies to it.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError
from rewards.precision import torch_dtype
from rewards.quiet import quiet_loading
from rewards.types import Message

MOST_TOKENS = 192
"""Of a reply that are read; more costs time and says little more."""
MOST_CHARACTERS = 1000
"""Of each message before the reply: its last ones."""
_CHAT_ROLES = {"seeker": "user", "supporter": "assistant"}

Floats = NDArray[np.float32]


class ReplyModel:
    """A causal language model of a Hugging Face folder with a chat template; runs on the CPU."""

    def __init__(
        self,
        path: str | Path,
        *,
        dtype: str = "auto",
        batch_tokens: int = 1024,
        num_threads: int | None = None,
    ) -> None:
        """`batch_tokens` of replies, padding included, in one pass. Raises ConfigError for a folder
        that holds no such model."""
        self._torch, self._tokenizer, self._model = _load(Path(path), dtype)
        if num_threads is not None:
            self._torch.set_num_threads(num_threads)
        self._batch_tokens = batch_tokens
        self.revision = _hash(Path(path))
        """sha256 (hex) over the weights."""

    def log_probabilities(self, context: Sequence[Message], replies: Sequence[str]) -> list[Floats]:
        """Of each token of each reply after the messages, nats, at most `MOST_TOKENS`.

        An empty array for a reply without a token. The model works in half precision: the same
        reply differs by about 0.01 nats with the other replies of its batch.
        """
        torch = self._torch
        before = self._prompt(context)
        tokens = [
            self._tokenizer(reply.strip(), add_special_tokens=False)["input_ids"][:MOST_TOKENS]
            for reply in replies
        ]
        found: list[Floats] = [np.zeros(0, np.float32) for _ in tokens]
        with torch.inference_mode():
            read = self._model(
                input_ids=torch.tensor([before[:-1]]), use_cache=True, logits_to_keep=1
            ).past_key_values
            for rows in self._batches(tokens):
                scores = self._scores(read, before[-1], [tokens[row] for row in rows])
                for row, own in zip(rows, scores, strict=True):
                    found[row] = own
        return found

    def _prompt(self, context: Sequence[Message]) -> list[int]:
        """Tokens of the messages in the model's chat format, up to where its reply begins."""
        chat = [
            {"role": _CHAT_ROLES[message.role], "content": message.content[-MOST_CHARACTERS:]}
            for message in context
        ]
        text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def _batches(self, tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Places of replies of like length, `batch_tokens` a batch; none without a token."""
        batch: list[int] = []
        for place in sorted(
            (i for i, own in enumerate(tokens) if own), key=lambda i: len(tokens[i])
        ):
            if batch and (len(batch) + 1) * len(tokens[place]) > self._batch_tokens:
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch

    def _scores(self, read: Any, last: int, replies: Sequence[Sequence[int]]) -> list[Floats]:
        """Log-probabilities after a prompt of which all but the token `last` has been `read`."""
        torch = self._torch
        cache = copy.deepcopy(read)
        if len(replies) > 1:
            cache.batch_repeat_interleave(len(replies))
        longest = max(map(len, replies))
        # Padding stands at the end, where causal attention never looks back from.
        targets = torch.full((len(replies), longest), -100)
        for row, own in enumerate(replies):
            targets[row, : len(own)] = torch.tensor(own)
        given = torch.cat([torch.full((len(replies), 1), last), targets[:, :-1].clamp(min=0)], 1)
        logits = self._model(input_ids=given, past_key_values=cache, use_cache=True).logits
        losses = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), reduction="none"
        ).view(targets.shape)
        return [
            -losses[row, : len(own)].numpy().astype(np.float32) for row, own in enumerate(replies)
        ]


def _load(folder: Path, dtype: str) -> tuple[Any, Any, Any]:
    """torch, tokenizer and model."""
    # Imported here: these take seconds, and `rewards` is also used without any model.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"no language model in {folder}: it has no config.json; "
            "python -m mint.convert output=FOLDER makes one"
        )
    try:
        with quiet_loading():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch_dtype(dtype), local_files_only=True
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"cannot load a language model from {folder}: {first}") from error
    if not tokenizer.chat_template:
        raise ConfigError(f"the tokenizer of {folder} has no chat template")
    return torch, tokenizer, model.eval()


def _hash(folder: Path) -> str:
    """sha256 (hex) over names and values of the weights, however they are spread over files."""
    import torch
    from safetensors import safe_open

    digest = hashlib.sha256()
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfigError(f"no *.safetensors in {folder}, which should hold a language model")
    for file in files:
        with safe_open(file, framework="pt") as tensors:
            for name in sorted(tensors.keys()):
                digest.update(name.encode())
                digest.update(tensors.get_tensor(name).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
