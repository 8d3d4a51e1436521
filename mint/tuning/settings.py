"""Settings of a model that is tuned with a plain PyTorch loop, and of the loop."""

from __future__ import annotations

from dataclasses import dataclass, field

from mint.config.rules import POSITIVE, SHARE, at_least, check, one_of, or_null

DTYPES = ("auto", "float32", "bfloat16")
ADAPTERS = ("lora", "none")


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Low-rank adapters beside the frozen weights (Hu et al. 2022), by peft."""

    r: int = 16
    """Rank."""
    alpha: int = 32
    """An adapter counts alpha / r."""
    dropout: float = 0.05
    """Dropout before the adapters while training, in [0, 1]."""
    targets: list[str] = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"])
    """Names of the linear layers that get one; all-linear for all but the output layer."""

    layers: int | None = None
    """Only the last so many layers get one, and only they are gone back through: less work. null:
    all."""

    def __post_init__(self) -> None:
        rules = {
            "r": at_least(1),
            "alpha": POSITIVE,
            "dropout": SHARE,
            "layers": or_null(at_least(1)),
        }
        check(self, rules, "model.lora.")


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The model to begin with and what of it is trained."""

    path: str = ""
    """Hugging Face folder, hub name, or the directory of an earlier run (its model)."""
    build: str = "none"
    """none: `path` must exist or be a hub name. tiny or smol: the policy of `python -m mint.tiny`
    or `mint.policy smol` is built at `path` when it is not there."""
    adapter: str = "lora"
    """lora: adapters of rank lora.r. none: all weights are trained."""
    lora: LoraSettings = field(default_factory=LoraSettings)
    dtype: str = "auto"
    """float32, bfloat16 (mixed precision; frozen weights are kept in it), or auto: bfloat16 on a
    GPU and where the processor computes in it."""
    device: str = "auto"
    """auto: a GPU where there is one, else cpu; or a torch device such as cuda:1."""
    num_threads: int = 2
    """Threads of torch on a CPU."""
    gradient_checkpointing: bool = False
    """Compute activations anew in the backward pass: less memory, a third more work."""

    def __post_init__(self) -> None:
        rules = {
            "build": one_of("none", "tiny", "smol"),
            "adapter": one_of(*ADAPTERS),
            "dtype": one_of(*DTYPES),
            "num_threads": at_least(1),
        }
        check(self, rules, "model.")


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How a model is tuned: AdamW, warm-up, cosine, clipping, early stop."""

    lr: float = 2e-4
    """Peak learning rate."""
    weight_decay: float = 0.0
    """Weight decay of the matrices."""
    warmup: float = 0.1
    """Share of the steps in which the rate rises from 0 to its peak, in [0, 1]."""
    final_lr: float = 0.0
    """Where the cosine ends, as a share of the peak, in [0, 1]."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    epochs: float = 2.0
    """Passes over the data; a part of one counts."""
    max_steps: int | None = None
    """Most optimiser steps; null: as many as `epochs` have."""
    every_steps: int | None = None
    """Measure on the dev split and save after so many steps; null: four times a run."""
    patience: int | None = None
    """End after so many measurements in a row without a better one; null: never."""

    def __post_init__(self) -> None:
        rules = {
            "lr": POSITIVE,
            "weight_decay": at_least(0),
            "warmup": SHARE,
            "final_lr": SHARE,
            "clip": POSITIVE,
            "epochs": POSITIVE,
            **dict.fromkeys(("max_steps", "every_steps", "patience"), or_null(at_least(1))),
        }
        check(self, rules, "loop.")


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """What an optimiser step sees, and in which pieces."""

    size: int = 32
    """Samples an optimiser step; gradients of its pieces are summed."""
    tokens: int = 4096
    """Most tokens of a piece, padding included: memory, not results."""
    packing: bool = False
    """Several samples in a row, kept apart by their positions: no padding, which pays where
    attention has a kernel for it (GPUs); else samples of like length share a piece."""
    max_length: int = 1024
    """Longest sample, tokens: older messages of its conversation are dropped, a longer one is left
    out."""

    def __post_init__(self) -> None:
        check(self, dict.fromkeys(("size", "tokens", "max_length"), at_least(1)), "batch.")


@dataclass(frozen=True, kw_only=True)
class TuningRun:
    """The run directory."""

    dir: str = ""
    """Run directory; outputs/<recipe>/<date_time> unless set. Must not exist."""
    seed: int = 0
    """Seed of initial weights, order, dropout and splits."""
