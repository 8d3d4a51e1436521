"""The tiny policy's tokenizer: byte-level BPE with Qwen3's special tokens and chat format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
"""Padding, start of a message, end of a message (also the end of a reply)."""

# Qwen3's format with the parts that a small policy uses. Thinking is not among them: unlike
# Qwen3's own template, `enable_thinking` (either value) adds nothing to the prompt.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] not in ['system', 'user', 'assistant'] -%}
{{- raise_exception('unknown role ' ~ message['role']) -}}
{%- endif -%}
{{- '<|im_start|>' ~ message['role'] ~ '\\n' ~ message['content'] ~ '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_length: int) -> Any:
    """A tokenizer of at most `vocab_size` tokens that can encode and decode any text.

    Fewer when `texts` do not have enough different words.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # <think> marks are text, not control: graders must see them to cut thinking out of a reply.
    thinking = [AddedToken(mark, special=False) for mark in ("<think>", "</think>")]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(thinking),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[PAD, START, END],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(thinking)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[START, END],
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
