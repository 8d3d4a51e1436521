"""A prompt and a generated reply, for readers that load no model."""

from __future__ import annotations

from typing import NamedTuple


class Prompt(NamedTuple):
    """One prompt: chat messages and a key that names it across runs."""

    key: str
    messages: tuple[dict[str, str], ...]


class Generation(NamedTuple):
    """One generated reply."""

    raw: str
    """Decoded without special tokens; thinking kept."""
    num_tokens: int
    """Length of the visible reply in the model's tokens."""
    truncated: bool
    """Whether it was cut at max_new_tokens instead of ending by itself."""
