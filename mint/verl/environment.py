"""Environment variables of the training process: switches of verl, vLLM, Ray and Hugging Face.

They are derived from the configuration; mint reads none of them back.
"""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import DictConfig

from mint.policy.vllm_switches import vllm_switches
from mint.rundir.directory import RunDir
from mint.verl.cluster import is_local

AGENT_LOOPS = str(Path(__file__).resolve().with_name("agent_loops.yaml"))
"""`rollout.agent.agent_loop_config_path`; verl would look in the working directory."""
_KV_CACHE_GIB = "1"  # ample for the sequences a CPU can decode; vLLM's default is half the memory


def training_environment(config: DictConfig) -> dict[str, str]:
    """What the training process needs on top of the current environment."""
    run = RunDir(Path(config.mint.run.dir))
    cpu = config.trainer.device == "cpu"
    threads = max(1, len(os.sched_getaffinity(0)) // int(config.trainer.n_gpus_per_node))
    switches = vllm_switches(str(config.actor_rollout_ref.model.path), threads if cpu else None)
    switches |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        # Ray makes its workers 15 nicer than itself: whatever else computes here would starve them.
        "RAY_worker_niceness": "0",
        "TENSORBOARD_DIR": str(run.tensorboard_path),
        "WANDB_DIR": str(run.path),
    }
    if is_local(config):
        switches["RAY_ADDRESS"] = ""  # another cluster's: nothing of this run may join it
    if cpu:
        switches |= {
            "VERL_PLATFORM": "cpu",
            "VLLM_CPU_KVCACHE_SPACE": _KV_CACHE_GIB,
            # oneDNN compiles its products for every number of packed tokens anew and keeps 1,024 of
            # them: hundreds of megabytes that are never used again.
            "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
            # Else vLLM's CPU platform gives every engine a worker process of its own, whatever
            # distributed_executor_backend says.
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "TQ_NUM_THREADS": "1",  # TransferQueue copies kilobytes; its eight would spin
        }
    return switches
