"""Text of the tiny policy's warm start: conversations, and their turns as token ids."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from mint.data.banks import load_banks
from mint.data.conversation import Conversation, load_conversations, supporter_turns
from mint.data.prompts import chat_messages
from mint.data.synthetic import DEMO_PROMPTS, generate, split_scenarios
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
        if any(t.turn.sentence_tactics is None for t in supporter_turns(conversation)):
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
    while num_words > 0:
        conversation = next(conversations, None)
        if conversation is None:
            break
        added = dialogues([conversation])
        pool += added
        num_words -= sum(len(dialogue.reply.split()) for dialogue in added)
    return pool


def dialogues(conversations: Iterable[Conversation]) -> list[Dialogue]:
    """A prompt and reply for each supporter turn that says something, with the demo's prompts."""
    made = []
    for conversation in conversations:
        for turn in supporter_turns(conversation):
            tactics = [
                [sentence.tactics for sentence in earlier.sentence_tactics or ()]
                for earlier in turn.previous
            ]
            reply = turn.turn.message.content
            if reply.strip():
                made.append(Dialogue(chat_messages(DEMO_PROMPTS, turn.history, tactics), reply))
    return made


def texts(pool: Sequence[Dialogue]) -> Iterator[str]:
    """All text of the dialogues, for the tokenizer."""
    for dialogue in pool:
        yield from (message["content"] for message in dialogue.messages)
        yield dialogue.reply


def chat_prompt(tokenizer: Any, dialogue: Dialogue) -> str:
    """The prompt in chat format, up to where the reply begins."""
    return tokenizer.apply_chat_template(
        dialogue.messages, tokenize=False, add_generation_prompt=True
    )


def encode_turns(
    tokenizer: Any, pool: Sequence[Dialogue], num_tokens: float = math.inf
) -> list[Example]:
    """Replies after their whole prompt, up to about `num_tokens` tokens in all."""
    return _encode(tokenizer, pool, num_tokens, lambda d: chat_prompt(tokenizer, d))


def encode_replies(
    tokenizer: Any, pool: Sequence[Dialogue], num_tokens: float = math.inf
) -> list[Example]:
    """Replies after nothing but the start of their message, up to about `num_tokens` tokens."""
    return _encode(tokenizer, pool, num_tokens, lambda _: f"{START}assistant\n")


def _encode(
    tokenizer: Any,
    pool: Sequence[Dialogue],
    num_tokens: float,
    prompt: Callable[[Dialogue], str],
) -> list[Example]:
    half = tokenizer.model_max_length // 2
    examples: list[Example] = []
    for dialogue in pool:
        if num_tokens <= 0:
            break
        encoded = tokenizer([prompt(dialogue), dialogue.reply + END], add_special_tokens=False)
        before, reply = encoded["input_ids"]
        # Real conversations can be longer than the model's context: keep what is nearest.
        examples.append(Example(before[-half:], reply[:half]))
        num_tokens -= examples[-1].num_tokens
    return examples
