"""A Qwen3 of a given shape with random weights, and a tokenizer of the right size for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

from mint.policy.text import gather, load_material, texts
from mint.policy.tokenizer import train_tokenizer

_QWEN3 = {"head_dim": 128, "num_key_value_heads": 8, "vocab_size": 151_936}
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "head_dim": 64,
        "num_key_value_heads": 1,
        "vocab_size": 4_096,
    },
    "0.6b": {
        **_QWEN3,
        "hidden_size": 1_024,
        "intermediate_size": 3_072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
    },
    "1.7b": {
        **_QWEN3,
        "hidden_size": 2_048,
        "intermediate_size": 6_144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
    },
    "4b": {
        **_QWEN3,
        "hidden_size": 2_560,
        "intermediate_size": 9_728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
    },
}
"""The sizes of Qwen3's config.json; tiny is for a CPU."""
_TRAINED_TOKENS = 4_096
_WORDS = 20_000


def build_policy(folder: Path, shape: str, device: str) -> int:
    """Write model and tokenizer to `folder`; returns the number of parameters."""
    sizes = SHAPES[shape]
    pool = gather(load_material(None, 0).train, _WORDS)
    tokenizer = train_tokenizer(texts(pool), _TRAINED_TOKENS, 8_192)
    config = Qwen3Config(
        **sizes,
        tie_word_embeddings=True,
        max_position_embeddings=8_192,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen3ForCausalLM._from_config(config, dtype=torch.bfloat16)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    model.save_pretrained(folder, max_shard_size="2GB")
    tokenizer.save_pretrained(folder)
    fill_vocabulary(folder / "tokenizer.json", int(sizes["vocab_size"]))
    return sum(parameter.numel() for parameter in model.parameters())


def fill_vocabulary(path: Path, size: int) -> None:
    """Give every id below `size` a text: a random model answers with all of them. No merge leads to
    the new ones, so encoding stays as it is."""
    content = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    # Added tokens that are not in the vocabulary would be given new ids behind it.
    vocabulary.update({token["content"]: token["id"] for token in content["added_tokens"]})
    taken = set(vocabulary.values())
    # U+0120 is a space in byte-level BPE.
    vocabulary.update({f"\u0120word{n}": n for n in range(size) if n not in taken})
    path.write_text(json.dumps(content), encoding="utf-8")
