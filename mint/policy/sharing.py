"""Which models can be trained with every distinct prompt once (`mint.verl.shared_engine`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ARCHITECTURES = ("qwen2", "qwen3", "llama", "gemma", "gemma3_text")
"""`model_type` of those whose log-probabilities and gradients are compared with plain rows'."""
_CAPS = ("attn_logit_softcapping", "final_logit_softcapping")


def why_not_shared(config: Mapping[str, Any]) -> str | None:
    """Why a model with this config.json cannot share prompts, None when it can."""
    caps = [f"{name}={config[name]}" for name in _CAPS if config.get(name)]
    if caps:
        return f"no kernel for variable lengths caps scores ({', '.join(caps)})"
    architecture = config.get("model_type")
    if architecture not in ARCHITECTURES:
        return f"{architecture} is none of the architectures {', '.join(ARCHITECTURES)}"
    if config.get("attention_dropout"):
        return f"dropout in attention (attention_dropout={config['attention_dropout']})"
    if config.get("use_bidirectional_attention"):
        return "tokens see later ones (use_bidirectional_attention)"
    return None


def plain_attention(config: Mapping[str, Any], packed: bool) -> str | None:
    """transformers' attention that is right for such a model in verl's own engine, None for what
    the run has set. `packed`: rows one after the other, without padding."""
    if any(config.get(name) for name in _CAPS):
        return "eager"
    return None if packed and not config.get("sliding_window") else "sdpa"
