"""Small random Qwen3 models with a tokenizer of their own, for tests of what trains or asks one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from mint.policy.tokenizer import train_tokenizer

FEW_WORDS = ("hello you are not alone, tell me more about it",) * 4


def make_small(
    folder: Path,
    texts: Sequence[str] = FEW_WORDS,
    *,
    seed: int = 3,
    words: int = 320,
    context: int = 256,
    **changes: Any,
) -> Path:
    """Save a model whose tokenizer has learnt `words` tokens from the texts; returns the folder."""
    tokenizer = train_tokenizer(list(texts), words, context)
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "tie_word_embeddings": True,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    Qwen3ForCausalLM(Qwen3Config(**{**sizes, **changes})).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
