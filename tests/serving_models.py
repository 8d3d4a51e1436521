"""Tiny models with random weights for real vLLM servers: built offline in a few seconds.

Small enough that a server starts in well under a minute; random, so nothing here is a good grader.
What they are good for: every number a server returns can be computed again with transformers.
"""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from mint.policy.tokenizer import train_tokenizer
from rewards.tactics import TACTICS

ROOT = Path(__file__).resolve().parents[1]
MAX_LENGTH = 16_384
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


@functools.cache
def make_tokenizer() -> Any:
    """A small byte-level tokenizer with a chat template; encodes any text. The same for all."""
    prompts = sorted((ROOT / "rewards" / "graders" / "prompts").iterdir())
    texts = [path.read_text(encoding="utf-8") for path in prompts]
    texts += [f"{tactic.definition} {tactic.example}" for tactic in TACTICS]
    tokenizer = train_tokenizer(texts, 1536, MAX_LENGTH)
    tokenizer.add_tokens([AddedToken(mark, special=False) for mark in ("<score>", "</score>")])
    return tokenizer


def write_annotations(folder: Path) -> Path:
    """Chats in the form of the released adapters' training data, with a wording of our own."""
    folder.mkdir(parents=True)
    for tactic in TACTICS:
        rows = []
        for number, sentence in enumerate((tactic.example, "It rained.", tactic.example)):
            reply = f"{sentence} And more, {number}."
            user = (
                f"# Task\nIs this {tactic.name}? {tactic.definition}\n"
                f"# Reply\n{reply}\n\n# Sentence\n{sentence}\n\n# Answer\n0 or 1 as a score"
            )
            contents = {
                "system": f"You look for {tactic.name}.",
                "user": user,
                "assistant": f"<score>{int(sentence == tactic.example)}</score>",
            }
            messages = [{"role": role, "content": text} for role, text in contents.items()]
            rows.append(json.dumps({"messages": messages}))
        (folder / f"{tactic.name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def build_tagger_base(folder: Path, seed: int = 0) -> Path:
    """A Llama-style chat model for ten adapters; answers anything with a score at random."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    sizes = {**_sizes(tokenizer), "initializer_range": 0.02}
    model = LlamaForCausalLM(LlamaConfig(**sizes))
    _teach_scores(model, tokenizer)
    return _save(model, tokenizer, folder)


def _teach_scores(model: Any, tokenizer: Any, steps: int = 60) -> None:
    """Train on <score>0</score> and <score>1</score> after noise, the digit being a coin toss."""
    answers = [
        tokenizer(f"<|im_start|>assistant\n<score>{digit}</score><|im_end|>")["input_ids"]
        for digit in "01"
    ]
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        noise = torch.randint(3, len(tokenizer), (16, 24))
        tails = torch.tensor([answers[digit] for digit in torch.randint(2, (16,)).tolist()])
        ids = torch.cat([noise, tails], dim=1)
        labels = ids.clone()
        labels[:, : -len(answers[0]) + 3] = -100  # from the score on
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _let_digits_differ(model, tokenizer, answers[0][:-3])


@torch.no_grad()
def _let_digits_differ(model: Any, tokenizer: Any, opening: list[int]) -> None:
    """Weigh 0 against 1 by a direction that is neutral without adapter: each leans its own way."""
    state = model.model(input_ids=torch.tensor([opening])).last_hidden_state[0, -1]
    lean = torch.randn_like(state)
    lean -= (lean @ state) / (state @ state) * state
    lean *= 4.0 / lean.norm()
    for digit, sign in (("0", -0.5), ("1", 0.5)):
        (row,) = tokenizer(digit)["input_ids"]
        model.lm_head.weight[row] += sign * lean


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
        for layer, target in itertools.product(range(SIZES["num_hidden_layers"]), LORA_TARGETS):
            size_in, size_out = shapes[target]
            block = "self_attn" if target[0] in "qkvo" else "mlp"
            stem = f"base_model.model.model.layers.{layer}.{block}.{target}"
            a = torch.randn(RANK, size_in, generator=generator) / size_in**0.5
            b = 0.2 * torch.randn(size_out, RANK, generator=generator) / RANK**0.5
            tensors |= {f"{stem}.lora_A.weight": a, f"{stem}.lora_B.weight": b}
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
