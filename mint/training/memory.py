"""Whether a run fits: transfer bucket, memory of the machine, memory of the GPUs."""

from __future__ import annotations

import psutil
from omegaconf import DictConfig, OmegaConf

from mint.policy.model_files import ModelFacts
from rewards.errors import ConfigError

_GIB = 1024**3
_CPU_PROCESSES_GIB = 8.0
"""Resident memory of a CPU run's processes without the model (docs/performance.md)."""


def check_bucket(config: DictConfig, facts: ModelFacts) -> None:
    """Without device IPC a tensor larger than the transfer bucket cannot be pushed at all."""
    if config.trainer.device != "cpu" or not facts.largest_tensor_elements:
        return
    key = "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"
    megabytes = int(OmegaConf.select(config, key))
    needed = facts.largest_tensor_elements * 4 / 1024**2
    if megabytes < needed:
        raise ConfigError(
            f"{key}={megabytes} MB is smaller than the model's largest tensor "
            f"({facts.largest_tensor}, {needed:.1f} MB in float32); set at least {int(needed) + 1}"
        )
    free = psutil.disk_usage("/dev/shm").free / 1024**2
    if free < megabytes:
        raise ConfigError(f"{key}={megabytes} MB does not fit in /dev/shm ({free:.0f} MB free)")


def check_memory(config: DictConfig, facts: ModelFacts) -> None:
    """Training state, reference, rollout copy and processes against what is free."""
    if not facts.num_parameters:
        return
    if config.trainer.device == "cuda":
        check_gpu_memory(config, facts, gpu_total_gib())
        return
    needed = cpu_memory_gib(config, facts)
    free = psutil.virtual_memory().available / _GIB
    if needed > free:
        raise ConfigError(
            f"not enough memory: this run needs about {needed:.1f} GiB "
            f"({facts.num_parameters / 1e6:.0f}M parameters), {free:.1f} GiB are available; use a "
            "smaller model (actor_rollout_ref.model.path) or free memory"
        )


def check_gpu_memory(config: DictConfig, facts: ModelFacts, total: float | None) -> None:
    """The two tightest moments on a GPU of `total` GiB (None: no GPU here, nothing to check).

    Update: parameters, gradients and Adam in float32, 16 B a parameter over all ranks. Rollout:
    vLLM's share next to parameters and Adam (12 B a parameter) unless they are offloaded.
    """
    if total is None:
        return
    ranks = int(config.trainer.n_gpus_per_node) * int(config.trainer.nnodes)
    each = facts.num_parameters / ranks / _GIB
    fsdp = config.actor_rollout_ref.actor.fsdp_config
    share = float(config.actor_rollout_ref.rollout.gpu_memory_utilization)
    resident = (0 if fsdp.param_offload else 4) + (0 if fsdp.optimizer_offload else 8)
    update, rollout = 16 * each, resident * each + share * total
    if update > total:
        raise ConfigError(
            f"not enough GPU memory: an update needs {update:.0f} GiB a GPU for parameters, "
            f"gradients and optimiser, {total:.0f} GiB are there; use more GPUs "
            "(trainer.n_gpus_per_node) or LoRA (actor_rollout_ref.model.lora_rank)"
        )
    if rollout > total:
        raise ConfigError(
            f"not enough GPU memory: {resident * each:.0f} GiB of training state stay on the GPU "
            f"while vLLM takes {share:.0%} of {total:.0f} GiB; lower "
            "actor_rollout_ref.rollout.gpu_memory_utilization, or set "
            "actor_rollout_ref.actor.fsdp_config.param_offload and optimizer_offload to true"
        )


def gpu_total_gib() -> float | None:
    """Memory of the first GPU in GiB; None when there is none."""
    import torch

    if not torch.cuda.is_available():
        return None
    return float(torch.cuda.get_device_properties(0).total_memory) / _GIB


def cpu_memory_gib(config: DictConfig, facts: ModelFacts) -> float:
    """Estimated peak of a CPU run in GiB: 16 B a parameter for training, 4 for the reference,
    2 for the rollout copy, logits of one micro-batch, and the processes themselves."""
    tokens = int(config.actor_rollout_ref.actor.ppo_max_token_len_per_gpu)
    logits = 3 * tokens * facts.vocab_size * 4
    store = int(config.ray_kwargs.ray_init.object_store_memory or 0)
    return (22 * facts.num_parameters + logits + store) / _GIB + _CPU_PROCESSES_GIB
