"""Environment variables of the training process: switches of verl, vLLM, Ray and Hugging Face.

They are derived from the configuration; mint reads none of them back.
"""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import DictConfig

from mint.rundir.directory import RunDir

_KV_CACHE_GIB = "1"  # ample for the sequences a CPU can decode; vLLM's default is half the memory


def training_environment(config: DictConfig) -> dict[str, str]:
    """What the training process needs on top of the current environment."""
    run = RunDir(Path(config.mint.run.dir))
    env = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HYDRA_FULL_ERROR": "1",
        "PYTHONUNBUFFERED": "1",
        "TENSORBOARD_DIR": str(run.tensorboard_path),
        "WANDB_DIR": str(run.path),
    }
    if Path(config.actor_rollout_ref.model.path).is_dir():
        env["HF_HUB_OFFLINE"] = "1"
    if config.trainer.device == "cpu":
        threads = max(1, len(os.sched_getaffinity(0)) // int(config.trainer.n_gpus_per_node))
        env |= {
            "VERL_PLATFORM": "cpu",
            "VLLM_CPU_KVCACHE_SPACE": _KV_CACHE_GIB,
            # Trainer and rollout take turns, so each may use every core; binding would give each
            # a fixed share.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": str(threads),
            # vLLM compiles a few sampler functions on first use: half a minute and a C++ compiler
            # for nothing at this size.
            "TORCHDYNAMO_DISABLE": "1",
            # A dozen processes with an arena a thread never give freed memory back.
            "MALLOC_ARENA_MAX": "2",
        }
    return env
