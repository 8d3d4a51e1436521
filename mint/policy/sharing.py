"""Which models can be trained with every distinct prompt once (`mint.verl.shared_engine`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ARCHITECTURES = ("qwen2", "qwen3", "llama", "gemma", "gemma3_text")
"""`model_type` of those whose log-probabilities and gradients are compared with plain rows'."""
FLASH = "flash_attention_2"
_CAPS = ("attn_logit_softcapping", "final_logit_softcapping")


def why_not_shared(
    config: Mapping[str, Any], attention: str | None = None, sequence_parallel: int = 1
) -> str | None:
    """Why prompts are not shared by a model with this config.json, None when they are.

    `attention` is what the run sets (`override_config.attn_implementation`), `sequence_parallel`
    its `ulysses_sequence_parallel_size`.
    """
    if (reason := why_set_apart(attention, sequence_parallel)) is not None:
        return reason
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


def why_set_apart(attention: str | None, sequence_parallel: int) -> str | None:
    """Why the run's own settings keep prompts from being shared; see `why_not_shared`."""
    if attention == FLASH:
        return f"the run sets attn_implementation={FLASH}"
    if sequence_parallel > 1:
        return f"rows are cut over GPUs (ulysses_sequence_parallel_size={sequence_parallel})"
    return None


def plain_attention(config: Mapping[str, Any], attention: str | None, packed: bool) -> str | None:
    """transformers' attention that is right for such a model in verl's own engine, None for what
    the run has set. `packed`: rows one after the other, without padding."""
    if attention == FLASH:
        return None
    if any(config.get(name) for name in _CAPS):
        return "eager"
    return None if packed and not config.get("sliding_window") else "sdpa"
