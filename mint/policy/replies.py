"""Text of sampled tokens as the graders get it: special tokens gone, thoughts still marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rewards.text import with_opened_thought
from rewards.thoughts import is_thought_token

_CHANNEL = "<|channel|>"
_PROMPT_END = 16
"""Tokens among which a thinking block would be opened."""
_SHARED = frozenset({"<|start|>", "<|message|>", "<|end|>"})
"""Tokens that belong to a thought where channels are used, and end a turn in other models."""


def prompt_end(tokenizer: Any, prompt: Sequence[int]) -> str:
    """The end of a prompt's text, where a template would open a thought."""
    return str(tokenizer.decode(prompt[-_PROMPT_END:]))


def decode_reply(tokenizer: Any, prompt: str, tokens: Sequence[int]) -> str:
    """The raw reply to a rendered `prompt` (its end is enough).

    Some tokenizers call the tags around a thought special: dropped with the others, they would
    leave the thought to be read as the reply.
    """
    special = {
        token: added.content
        for token, added in tokenizer.added_tokens_decoder.items()
        if added.special
    }
    names = {special[token] for token in tokens if token in special}
    kept = {name for name in names if is_thought_token(name)}
    if _CHANNEL not in names:
        kept -= _SHARED
    visible = [token for token in tokens if token not in special or special[token] in kept]
    raw = tokenizer.decode(visible, skip_special_tokens=False)
    return with_opened_thought(prompt, raw)
