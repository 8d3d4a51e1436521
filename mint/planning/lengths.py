"""How long prompts are, and how many the length filter leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mint.planning.settings import RunSettings
from mint.policy.chat import local_tokenizer, render_chat

CHARACTERS_A_TOKEN = 4.2
"""Of English conversation under Qwen's tokenizer (measured on the published set)."""
COUNTED = "counted"
"""How lengths were found, when by the model's own tokenizer."""
_MARKS_A_MESSAGE = 5
"""Tokens that a chat format adds to a message."""
_REPLY_SHARE = {True: 0.3, False: 0.53}
"""Mean reply as a part of its limit: with thinking about 600 of 2,048 tokens, without as in the
demo, 42 of 80."""


class Lengths(NamedTuple):
    """Prompts and replies in tokens."""

    rows: int | None
    """Rows of the training file; None when it is not there."""
    kept: int | None
    """Rows that fit into data.max_prompt_length."""
    prompt: float
    """Mean tokens of a prompt that fits."""
    longest: int | None
    reply: float
    """Mean tokens of a reply, assumed or measured."""
    source: str
    """Where the figures come from, in words."""
    held_out: int | None = None
    """Rows of the held-out file; None when it is not there."""
    all_fit: bool = False
    """Every prompt of both files was counted and fits."""


def lengths_of(
    train_file: Path,
    held_out_file: Path,
    model: str,
    run: RunSettings,
    template: Mapping[str, Any],
    reply: float | None = None,
) -> Lengths:
    """Count with the model's tokenizer where it is here, else estimate from the characters.

    `template`: what the chat template is given (data.apply_chat_template_kwargs). `reply`: mean
    tokens of a reply where that is known.
    """
    mean_reply = reply if reply is not None else run.max_reply * _REPLY_SHARE[run.thinking]
    said = f"replies of {mean_reply:.0f} tokens " + ("given" if reply is not None else "assumed")
    held_out = _prompts(held_out_file)
    rows = None if held_out is None else len(held_out)
    prompts = _prompts(train_file)
    if prompts is None:
        guess = min(1_400.0, run.max_prompt * 0.55)
        where = f"{train_file} is not there: prompts of {guess:.0f} tokens assumed, {said}"
        return Lengths(None, None, guess, None, mean_reply, where, rows)
    both, how = count_tokens([*prompts, *(held_out or [])], model, template)
    all_fit = held_out is not None and how == COUNTED and max(both, default=0) <= run.max_prompt
    counts = both[: len(prompts)]
    fit = [count for count in counts if count <= run.max_prompt]
    mean = sum(fit) / len(fit) if fit else 0.0
    source = f"prompts of {mean:.0f} tokens ({how}), {said}"
    longest = max(counts, default=0)
    return Lengths(len(counts), len(fit), mean, longest, mean_reply, source, rows, all_fit)


def _prompts(file: Path) -> list[Any] | None:
    """Prompts of a Parquet file; None when it is not there."""
    if not file.is_file():
        return None
    import pyarrow.parquet as pq

    return list(pq.read_table(file, columns=["prompt"]).column("prompt").to_pylist())


def count_tokens(
    prompts: Sequence[Any], model: str, template: Mapping[str, Any]
) -> tuple[list[int], str]:
    """Tokens of each prompt (a list of messages) and how they were counted."""
    if all(isinstance(prompt, str) for prompt in prompts):
        return [_estimate([{"content": p}]) for p in prompts], "estimated from their characters"
    tokenizer = local_tokenizer(model)
    if tokenizer is None:
        return [_estimate(prompt) for prompt in prompts], "estimated from their characters"
    texts = [render_chat(tokenizer, prompt, **dict(template)) for prompt in prompts]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [len(ids) for ids in encoded], COUNTED


def _estimate(messages: Sequence[Mapping[str, Any]]) -> int:
    characters = sum(len(message["content"]) for message in messages)
    return round(characters / CHARACTERS_A_TOKEN) + _MARKS_A_MESSAGE * len(messages)
