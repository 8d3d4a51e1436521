"""Tiny models with random weights for real vLLM servers: built offline in a few seconds.

Small enough that a server starts in well under a minute; random, so nothing here is a good grader.
What they are good for: every number a server returns can be computed again with transformers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from mint.tiny_tokenizer import train_tokenizer
from rewards.tactics import TACTICS

MAX_LENGTH = 4096
RANK = 8
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": MAX_LENGTH,
}
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def make_tokenizer() -> Any:
    """A small byte-level tokenizer with a chat template; encodes any text."""
    texts = [f"{tactic.name} {tactic.definition}" for tactic in TACTICS] * 4
    texts += ["<score>0</score>", "<score>1</score>", '{"rating": 3}', "1 2 3 4 5 yes no"] * 20
    return train_tokenizer(texts, 640, MAX_LENGTH)


def build_tagger_base(folder: Path, seed: int = 0) -> Path:
    """A Llama-style chat model for ten adapters."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    return _save(LlamaForCausalLM(LlamaConfig(**_sizes(tokenizer))), tokenizer, folder)


def build_adapters(folder: Path, names: list[str], seed: int = 1) -> Path:
    """One LoRA adapter a name, in PEFT's file format, strong enough to answer differently."""
    generator = torch.Generator().manual_seed(seed)
    heads = SIZES["num_attention_heads"] * SIZES["head_dim"]
    hidden, inner = SIZES["hidden_size"], SIZES["intermediate_size"]
    shapes = dict.fromkeys(("q_proj", "k_proj", "v_proj"), (hidden, heads))
    shapes |= {"o_proj": (heads, hidden), "down_proj": (inner, hidden)}
    shapes |= dict.fromkeys(("gate_proj", "up_proj"), (hidden, inner))
    for name in names:
        tensors = {}
        for layer in range(SIZES["num_hidden_layers"]):
            for target in LORA_TARGETS:
                size_in, size_out = shapes[target]
                block = "self_attn" if target in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
                stem = f"base_model.model.model.layers.{layer}.{block}.{target}"
                a = torch.randn(RANK, size_in, generator=generator) / size_in**0.5
                b = torch.randn(size_out, RANK, generator=generator) / RANK**0.5
                tensors[f"{stem}.lora_A.weight"] = a
                tensors[f"{stem}.lora_B.weight"] = b
        own = folder / name
        own.mkdir(parents=True)
        save_file(tensors, own / "adapter_model.safetensors", metadata={"format": "pt"})
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": "tagger-base",
            "r": RANK,
            "lora_alpha": 2 * RANK,
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": list(LORA_TARGETS),
            "modules_to_save": None,
            "use_dora": False,
            "use_rslora": False,
        }
        (own / "adapter_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return folder


def build_judge(folder: Path, seed: int = 2) -> Path:
    """A Qwen3 chat model."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    return _save(Qwen3ForCausalLM(Qwen3Config(**_sizes(tokenizer))), tokenizer, folder)


def build_reward_model(folder: Path, seed: int = 3) -> Path:
    """A Llama-style reward model with one output, scaled so that logits leave [0, 1] both ways."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    model = LlamaForSequenceClassification(LlamaConfig(num_labels=1, **_sizes(tokenizer)))
    with torch.no_grad():
        model.score.weight.normal_(0.0, 0.5)
    return _save(model, tokenizer, folder)


def _sizes(tokenizer: Any) -> dict[str, Any]:
    return {
        **SIZES,
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        # Random weights at the usual 0.02 answer everything alike.
        "initializer_range": 0.2,
    }


def _save(model: Any, tokenizer: Any, folder: Path) -> Path:
    model.to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
