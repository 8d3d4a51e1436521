"""The trainer's engine by itself on random weights: every prompt once against rows one by one.

Prompts and replies as long as those of the official data (1,400 and 600 tokens). On a machine
without a GPU the same code runs with a tiny shape, which says nothing about a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, Qwen3Config

from mint.bench.gpu_passes import REPEATS, Engine, PassFigures, Work, compiled, liger
from mint.planning.models import ModelShape, shape_of, tiny_shape
from mint.policy.settings import TinySettings
from mint.shell.console import say
from rewards.errors import ConfigError

WORK = (
    Work("four rows, every token scored", 1, 4, shared=False, every=True),
    Work("12 rows, every token scored", 2, 6, shared=False, every=True),
    Work("12 rows, replies scored", 2, 6, shared=False),
    Work("shared, 4 groups of 8", 4, 8),
    Work("shared, 2 of 8, half the layers kept", 2, 8, checkpointed=0.5),
    Work("shared, 1 of 8, all layers kept", 1, 8, checkpointed=0.0),
    Work("forward, 12 rows, every token", 2, 6, shared=False, every=True, backward=False),
    Work("forward, shared, 4 of 8", 4, 8, backward=False),
)
LENGTHS = {"cuda": (1400, 600), "cpu": (140, 60)}
"""Tokens of a prompt and of a reply."""
_AGAIN = (WORK[3], WORK[7])
"""What is measured with other kernels as well."""


@dataclass(frozen=True, kw_only=True)
class GpuFigures:
    """All measurements on one device."""

    device: str
    shape: str
    parameters: int
    prompt: int
    reply: int
    log_prob_difference: float
    """Largest one between shared prompts and rows one by one, bfloat16."""
    passes: list[PassFigures]


def measure(shape: str) -> GpuFigures:
    """Raises ConfigError for a shape that nothing describes."""
    on_gpu = torch.cuda.is_available()
    name, sizes, config = described(shape) if on_gpu else _tiny()
    device = torch.device("cuda" if on_gpu else "cpu")
    prompt, reply = LENGTHS[device.type]
    if not on_gpu:
        say("no GPU: a tiny shape on the processor, which checks the code and says nothing of GPUs")
    torch.manual_seed(0)
    with device:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    engine = Engine(model.train(), sizes, device, prompt, reply)
    difference = engine.difference()
    passes = [engine.timed(work) for work in WORK]
    for label, kernels in (("compiled parts", compiled), ("Liger", liger)):
        with kernels(model) as there:
            found = [work._replace(name=f"{work.name}, {label}") for work in _AGAIN]
            passes += [engine.timed(work) for work in found] if there else []
    return GpuFigures(
        device=torch.cuda.get_device_name() if on_gpu else "processor",
        shape=name,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        prompt=prompt,
        reply=reply,
        log_prob_difference=difference,
        passes=passes,
    )


def described(shape: str) -> tuple[str, ModelShape, Any]:
    """Name, sizes and configuration for a model's folder, hub name, or config.json."""
    path = Path(shape).expanduser()
    folder = str(path.parent if path.name == "config.json" else path)
    sizes = shape_of(folder if path.exists() else shape)
    if sizes is None:
        raise ConfigError(
            f"shape={shape} is no model folder, config.json or known name such as Qwen/Qwen3-4B"
        )
    if path.exists():
        config = AutoConfig.from_pretrained(folder)
        return shape, replace(sizes, parameters=0), config
    return shape, sizes, _qwen3(sizes)


def _tiny() -> tuple[str, ModelShape, Any]:
    sizes = tiny_shape(TinySettings())
    return "mint_tiny", sizes, _qwen3(sizes)


def _qwen3(sizes: ModelShape) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=sizes.vocab,
        hidden_size=sizes.hidden,
        intermediate_size=sizes.intermediate,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        head_dim=sizes.head_dim,
        tie_word_embeddings=sizes.tied,
    )


def table(figures: GpuFigures) -> list[str]:
    """One line a measurement."""
    head = (
        f"{figures.shape} ({figures.parameters / 1e6:,.1f} M random parameters) on "
        f"{figures.device}: prompts of {figures.prompt}, replies of {figures.reply} tokens"
    )
    lines = [
        head,
        f"largest difference of log-probabilities, shared - row by row: "
        f"{figures.log_prob_difference:.2g} (bfloat16)",
        f"{'best of ' + str(REPEATS):<42}{'replies':>8}{'tokens':>8}{'s':>9}{'ms/reply':>10}"
        f"{'plain tok/s':>13}{'MFU':>7}{'peak GiB':>10}",
    ]
    for each in figures.passes:
        cells = [
            _number(each.seconds, "9.3f"),
            _number(each.ms_a_reply, "10.1f"),
            _number(each.plain_tokens_a_second, "13,.0f"),
            _number(each.mfu, "7.3f"),
            _number(each.peak_gib, "10.1f"),
        ]
        note = "" if each.seconds is not None else "  does not fit into memory"
        lines.append(f"{each.name:<42}{each.replies:>8}{each.tokens:>8}{''.join(cells)}{note}")
    return lines


def _number(value: float | None, form: str) -> str:
    width = int(form.split(".")[0].rstrip(","))
    return f"{'-':>{width}}" if value is None else f"{value:{form}}"
