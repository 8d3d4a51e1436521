"""The shape of a language model: what memory and time depend on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mint.policy.model_files import local_files, model_facts
from mint.policy.settings import TinySettings

_KNOWN = Path(__file__).with_name("models.yaml")
SMOL = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The model of `mint.policy.build: smol` by its name in models.yaml."""
_TINY_MLP = 3
"""Width of the tiny policy's MLP in widths of the model (mint.policy.tiny)."""
_USUAL = {"num_key_value_heads": None, "head_dim": None, "tie_word_embeddings": False}
"""What transformers assumes where a config.json leaves it out."""
_NEEDED = {
    *("num_attention_heads", "hidden_size", "num_hidden_layers"),
    *("intermediate_size", "vocab_size"),
}


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """A dense decoder of the Llama and Qwen kind."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    """Whether input embeddings and output layer are one matrix."""
    parameters: int = 0
    """Counted in the files; computed from the shape where that is 0."""

    def __post_init__(self) -> None:
        if not self.parameters:
            object.__setattr__(self, "parameters", self._computed())

    @property
    def embedding(self) -> int:
        """Parameters of one vocabulary-sized matrix."""
        return self.vocab * self.hidden

    @property
    def root(self) -> int:
        """Parameters outside the layers."""
        return self.embedding * (1 if self.tied else 2)

    @property
    def body(self) -> int:
        """Parameters of all layers."""
        return self.parameters - self.root

    @property
    def qkv(self) -> int:
        """Width of queries, keys and values together."""
        return (self.heads + 2 * self.kv_heads) * self.head_dim

    @property
    def kv_bytes(self) -> int:
        """Bytes of keys and values of one token in bfloat16."""
        return 2 * self.layers * self.kv_heads * self.head_dim * 2

    def lora(self, rank: int) -> int:
        """Parameters of LoRA on every linear layer but the output layer."""
        attention = self.heads * self.head_dim
        ends = self.hidden + attention, self.hidden + self.qkv - attention + self.hidden
        mlp = 3 * (self.hidden + self.intermediate)
        return rank * self.layers * (2 * ends[0] + ends[1] + mlp)

    def _computed(self) -> int:
        attention = self.hidden * self.qkv + self.heads * self.head_dim * self.hidden
        norms = 2 * self.hidden + 2 * self.head_dim
        layer = attention + 3 * self.hidden * self.intermediate + norms
        return self.root + self.layers * layer + self.hidden


def shape_of(path: str) -> ModelShape | None:
    """Shape of a model folder, a cached hub model or a known one; None when nothing says it.

    Raises ConfigError for weights that are no safetensors.
    """
    folder = local_files(path)
    if folder is not None:
        shape = from_config(json.loads((folder / "config.json").read_text("utf-8")))
        counted = model_facts(path).num_parameters
        return replace(shape, parameters=counted) if shape and counted else shape
    known = _known()
    return from_config(known[path]) if path in known else None


def tiny_shape(settings: TinySettings) -> ModelShape:
    """Shape that `mint.tiny` gives the policy it builds."""
    heads = settings.hidden_size // 64
    return ModelShape(
        layers=settings.num_layers,
        hidden=settings.hidden_size,
        heads=heads,
        kv_heads=max(1, heads // 2),
        head_dim=64,
        intermediate=_TINY_MLP * settings.hidden_size,
        vocab=settings.vocab_size,
        tied=True,
    )


def from_config(config: Mapping[str, Any]) -> ModelShape | None:
    """Shape from the values of a config.json; None where they are not those of such a decoder."""
    text = {**_USUAL, **(config["text_config"] if "text_config" in config else config)}
    if not set(text) >= _NEEDED:
        return None
    heads, hidden = int(text["num_attention_heads"]), int(text["hidden_size"])
    return ModelShape(
        layers=int(text["num_hidden_layers"]),
        hidden=hidden,
        heads=heads,
        kv_heads=int(text["num_key_value_heads"] or heads),
        head_dim=int(text["head_dim"] or hidden // heads),
        intermediate=int(text["intermediate_size"]),
        vocab=int(text["vocab_size"]),
        tied=bool(text["tie_word_embeddings"]),
    )


@cache
def _known() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(_KNOWN.read_text("utf-8"))  # type: ignore[no-any-return]
