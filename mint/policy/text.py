"""Text of the tiny policy's warm start: conversations, and their turns as token ids."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from mint.data.banks import load_banks
from mint.data.conversation import Conversation, load_conversations
from mint.data.rows import conversation_cases, prompt_row, row_messages
from mint.data.synthetic import DEMO_PROMPTS, generate, split_scenarios
from mint.policy.chat import render_chat
from mint.policy.tokenizer import END, START
from mint.policy.warm_start import Example
from mint.shell.files import sha256_file
from mint.shell.paths import data_dir
from rewards.errors import DataError

_CHUNK = 500
_SEED_STEP = 7919
_VAL = 40


class Material(NamedTuple):
    """Conversations to learn and to measure on, and where they come from."""

    train: Iterator[Conversation]
    val: list[Conversation]
    facts: dict[str, Any]


class Dialogue(NamedTuple):
    """A prompt as chat messages and the reply to it."""

    messages: list[dict[str, str]]
    reply: str


def load_material(data: str | None, seed: int) -> Material:
    """Conversations of a folder of banks, a JSON file of tagged conversations, or (None) of the
    shipped banks. Those generated for training never end.

    Raises ConfigError or DataError when there is nothing usable.
    """
    path = Path(data) if data is not None else data_dir()
    if path.is_dir():
        banks = load_banks(path)
        train_part, val_part = split_scenarios(banks.scenarios)
        endless = (
            conversation
            for chunk in count(1)
            for conversation in generate(
                _CHUNK, seed + _SEED_STEP * chunk, banks=banks, scenarios=train_part
            )
        )
        val = generate(_VAL, seed, banks=banks, scenarios=val_part)
        return Material(endless, val, {"name": "sentence banks", "sha256": banks.sha256})
    conversations = load_conversations(path).conversations
    for conversation in conversations:
        if not conversation.tagged:
            raise DataError(
                f"{path}: conversation {conversation.conversation_id!r} has untagged supporter "
                "turns; `python -m mint.prepare ... tagged=FILE` writes a tagged copy"
            )
    if len(conversations) < 2:
        raise DataError(f"{path}: need at least 2 conversations, got {len(conversations)}")
    held_out = min(_VAL, max(1, len(conversations) // 20))
    facts = {"name": path.name, "sha256": sha256_file(path)}
    return Material(iter(conversations[held_out:]), conversations[:held_out], facts)


def gather(conversations: Iterator[Conversation], num_words: int) -> list[Dialogue]:
    """Dialogues with at least `num_words` words of replies, or all there are."""
    pool: list[Dialogue] = []
    for conversation in conversations:
        added = dialogues([conversation])
        pool += added
        num_words -= sum(len(dialogue.reply.split()) for dialogue in added)
        if num_words <= 0:
            break
    return pool


def dialogues(conversations: Iterable[Conversation]) -> list[Dialogue]:
    """A prompt and reply for each supporter turn that says something, with the demo's prompts."""
    return [
        Dialogue(list(row_messages(prompt_row(case, DEMO_PROMPTS))), case.reply)
        for case in conversation_cases(conversations)
        if case.reply and case.reply.strip()
    ]


def texts(pool: Sequence[Dialogue]) -> Iterator[str]:
    """All text of the dialogues, for the tokenizer."""
    for dialogue in pool:
        yield from (message["content"] for message in dialogue.messages)
        yield dialogue.reply


def encode_turns(
    tokenizer: Any,
    pool: Sequence[Dialogue],
    num_tokens: float = math.inf,
    *,
    with_prompt: bool = True,
) -> list[Example]:
    """Replies after their whole prompt, up to about `num_tokens` tokens in all.

    Without prompt they follow nothing but the start of their message.
    """
    half = tokenizer.model_max_length // 2
    before = f"{START}assistant\n"
    examples: list[Example] = []
    for dialogue in pool:
        if num_tokens <= 0:
            break
        if with_prompt:
            before = render_chat(tokenizer, dialogue.messages)
        encoded = tokenizer([before, dialogue.reply + END], add_special_tokens=False)
        prompt, reply = encoded["input_ids"]
        # Real conversations can be longer than the model's context: keep what is nearest.
        examples.append(Example(prompt[-half:], reply[:half]))
        num_tokens -= examples[-1].num_tokens
    return examples
