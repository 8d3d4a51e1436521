"""Settings -> the command line and environment of `vllm serve`. Pure; vLLM is not imported."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mint.machine.limits import GIB
from mint.policy.model_files import is_local
from mint.policy.vllm_switches import CPU_CHUNKED_PREFILL, CPU_KV_CACHE_GIB, vllm_switches
from mint.serving.settings import RewardModelServer, ServerSettings, TaggerServer
from rewards.tactics import TACTIC_NAMES

GUARD = "mint.serving.guard.RequireToken"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the checks found out and the command needs besides the settings."""

    cpu: bool
    """Whether the installed vLLM computes on the CPU."""
    port: int
    """The port to use, never 0."""
    max_model_len: int
    """The setting, or the model's own limit where that is smaller."""
    dtype: str
    """Precision of the weights. On a CPU never auto, which is the model's own for vLLM: most
    processors emulate bfloat16 (`rewards.precision`)."""
    token: str | None
    """What requests must carry; None for a server without token."""


def vllm_command(settings: ServerSettings, plan: Plan) -> list[str]:
    """The full command line. The token is not in it: any user can read command lines."""
    command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model_path(settings)]
    command += ["--served-model-name", settings.served_name]
    command += ["--host", settings.host, "--port", str(plan.port)]
    command += ["--max-model-len", str(plan.max_model_len), "--dtype", plan.dtype]
    # Only safetensors: the other formats are pickles.
    command += ["--load-format", "safetensors"]
    # A line for each of thousands of requests a step would bury the log.
    command += ["--uvicorn-log-level", "warning"]
    kv_cache = settings.kv_cache_gib or (CPU_KV_CACHE_GIB if plan.cpu else None)
    if kv_cache is not None:
        command += ["--kv-cache-memory-bytes", str(int(kv_cache * GIB))]
    else:
        command += ["--gpu-memory-utilization", str(settings.memory_share)]
    if plan.cpu:
        command.append("--enforce-eager")
        command += [] if CPU_CHUNKED_PREFILL else ["--no-enable-chunked-prefill"]
    if plan.token is not None:
        command += ["--middleware", GUARD]
    if settings.chat_template is not None:
        command += ["--chat-template", settings.chat_template]
    return [*command, *_part_arguments(settings), *settings.vllm_args]


def _part_arguments(settings: ServerSettings) -> list[str]:
    if isinstance(settings, TaggerServer):
        adapters = Path(settings.adapters).expanduser()
        return [
            "--enable-lora",
            "--max-lora-rank",
            str(settings.max_lora_rank),
            # All ten in one batch; with fewer slots vLLM runs the tactics one after the other.
            "--max-loras",
            str(len(TACTIC_NAMES)),
            "--lora-modules",
            *(f"{name}={adapters / name}" for name in TACTIC_NAMES),
        ]
    if isinstance(settings, RewardModelServer):
        # A Bradley-Terry reward is the logit itself; vLLM's default would return its sigmoid.
        return ["--runner", "pooling", "--pooler-config", json.dumps({"use_activation": False})]
    return []


def vllm_environment(settings: ServerSettings, plan: Plan, scratch: Path) -> dict[str, str]:
    """Switches of vLLM and its libraries for the server process; `scratch` is its own /tmp."""
    threads = settings.threads or len(os.sched_getaffinity(0))
    environment = vllm_switches(settings.model, threads if plan.cpu else None)
    environment["TMPDIR"] = str(scratch)
    if plan.token is not None:
        environment["VLLM_API_KEY"] = plan.token
    return environment


def model_path(settings: ServerSettings) -> str:
    """Absolute folder, or the hub name as it is."""
    if not is_local(settings.model):
        return settings.model
    return str(Path(settings.model).expanduser().resolve())


def overrides(settings: ServerSettings, url: str, revision: str) -> list[str]:
    """The overrides of `mint.train` that make a run use this server."""
    served = f"{settings.used_by}.served"
    lines = [f"{settings.used_by}.kind={settings.kind}", f"{served}.urls=[{url}]"]
    lines.append(f"{served}.model={settings.served_name}")
    if revision:
        lines.append(f"{served}.revision={revision}")
    if settings.token_file is not None:
        # Runs are started elsewhere.
        lines.append(f"{served}.token_file={Path(settings.token_file).expanduser().resolve()}")
    return lines


def served_names(settings: ServerSettings) -> Sequence[str]:
    """Model names that clients may ask for."""
    adapters = TACTIC_NAMES if isinstance(settings, TaggerServer) else ()
    return (settings.served_name, *adapters)
