"""Which prompts share a batch, so that it fits in memory. Pure.

Memory grows with the longest prompt of a batch times its rows, not with its rows: a prompt of 7,400
tokens holds 1 GiB of keys and values in a 4B model, forty of them two thirds of a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

_SAMPLING_BYTES = 32
"""Of each entry of the logits while a token is drawn: copies in 64-bit numbers."""
_MLP_TENSORS, _HIDDEN_TENSORS = 3, 6
"""Tensors of a layer that exist at the same time while a prompt is read."""


class ModelSize(NamedTuple):
    """What of a model decides how much memory a batch takes."""

    layers: int
    kv_width: int
    """Key heads x size of a head."""
    hidden: int
    intermediate: int
    vocabulary: int
    bytes_each: int
    """Of a number: 2 in bfloat16, 4 in float32."""


class Load(NamedTuple):
    """What a batch is asked for."""

    samples: int
    """Replies to each prompt; they share the prompt's reading, not its cache."""
    new_tokens: int


def model_size(config: Any, bytes_each: int) -> ModelSize:
    """Of a transformers configuration."""
    heads = int(config.num_attention_heads)
    head = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    return ModelSize(
        layers=int(config.num_hidden_layers),
        kv_width=head * int(getattr(config, "num_key_value_heads", None) or heads),
        hidden=int(config.hidden_size),
        intermediate=int(getattr(config, "intermediate_size", None) or 4 * config.hidden_size),
        vocabulary=int(config.vocab_size),
        bytes_each=bytes_each,
    )


def batch_bytes(size: ModelSize, prompts: int, longest: int, load: Load) -> int:
    """Peak memory beside the weights of a batch of `prompts` padded to `longest` tokens: while the
    prompts are read, or with the last token of the longest reply."""
    kv = 2 * size.layers * size.kv_width * size.bytes_each
    layer = _MLP_TENSORS * size.intermediate + _HIDDEN_TENSORS * size.hidden
    mask = longest * longest * (1 + size.bytes_each)
    reading = prompts * (longest * (kv + layer * size.bytes_each) + mask)
    rows = prompts * load.samples
    # A layer's cache is copied whole when it grows.
    cache = rows * (longest + load.new_tokens) * kv * (size.layers + 1) // size.layers
    drawing = rows * (size.vocabulary * (_SAMPLING_BYTES + size.bytes_each) + 8 * load.new_tokens)
    return max(reading, cache + drawing)


def plan_batches(
    lengths: Sequence[int], size: ModelSize, load: Load, most_replies: int, budget: int
) -> list[list[int]]:
    """Positions in `lengths` (tokens of each prompt), batch by batch, short prompts first.

    A batch has at most `most_replies` replies and takes at most `budget` bytes, but at least one
    prompt.
    """
    # Prompts of like length share a batch, so that little of it is padding.
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    batches: list[list[int]] = []
    for index in order:
        more = len(batches[-1]) + 1 if batches else 0
        fits = (
            more * load.samples <= most_replies
            and batch_bytes(size, more, lengths[index], load) <= budget
        )
        if batches and fits:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
