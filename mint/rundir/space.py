"""The disk space that a run's checkpoints and model take, before there are any."""

from __future__ import annotations

import math
from pathlib import Path

from omegaconf import DictConfig

_BYTES = {"fp32": 4, "float32": 4, "bf16": 2, "bfloat16": 2, "fp16": 2, "float16": 2}
_EXPORT_BYTES = 2
"""A parameter in RUN/model, which verl's merger writes in bfloat16."""
_GB = 1e9


def checkpoint_gb(config: DictConfig, num_parameters: int) -> float:
    """One checkpoint in GB (10^9 bytes): parameters and twice as much for Adam, in the type they
    are trained in; with LoRA, Adam has only the adapters, which hardly count; with `hf_model`, the
    parameters once more."""
    actor = config.actor_rollout_ref.actor
    saved = set(actor.checkpoint.save_contents)
    each = _BYTES.get(str(actor.fsdp_config.model_dtype), 4)
    copies = ("model" in saved) + ("hf_model" in saved)
    if "optimizer" in saved and not int(config.actor_rollout_ref.model.lora_rank):
        copies += 2
    return num_parameters * each * copies / _GB


def most_checkpoints(config: DictConfig) -> int | None:
    """How many checkpoints stand on the disk at the same time: the newest, the best one when the
    run validates, and the one that is being saved while an old one still stands. None when all are
    kept and the number of steps is not known."""
    trainer = config.trainer
    kept, steps = trainer.max_actor_ckpt_to_keep, trainer.total_training_steps
    best = config.mint.validation.every_steps is not None
    every = [n for n in (trainer.save_freq, config.mint.validation.every_steps) if n and n > 0]
    made = None if steps is None or not every else sum(math.ceil(steps / n) for n in every)
    if kept is None:
        return made
    most = int(kept) + best + 1
    return most if made is None else min(most, made)


def needed_disk_gb(config: DictConfig, num_parameters: int) -> float:
    """What a run of a model of so many parameters needs in its folder, in GB (10^9 bytes)."""
    at_once = most_checkpoints(config)
    model = num_parameters * _EXPORT_BYTES / _GB
    return checkpoint_gb(config, num_parameters) * (1 if at_once is None else at_once) + model


def used_gb(folder: Path) -> float:
    """What lies in a folder already, in GB; 0 when there is none."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / _GB
