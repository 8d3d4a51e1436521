"""Switches of vLLM and its libraries, for every process of it: rollout, servers, evaluations."""

from __future__ import annotations

from mint.policy.model_files import is_local

CPU_KV_CACHE_GIB = 1.0
"""Ample for what a CPU can decode; vLLM's own default is most of the memory."""
CPU_CHUNKED_PREFILL = False
"""Whether a CPU may read a prompt in pieces where it does not fit into what is left of a step. In
vLLM 0.28 that ends the engine when the request has a seed: it turns the request's generator back,
and a CPU's has no offset."""


def vllm_switches(model: str, cpu_threads: int | None) -> dict[str, str]:
    """Switches of vLLM and its libraries in every process; `cpu_threads` None: it runs on a GPU."""
    switches = {
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    if is_local(model):
        switches["HF_HUB_OFFLINE"] = "1"
    if cpu_threads is None:
        # flashinfer builds its sampler with CUDA's compiler on first use, and vLLM 0.24 dies at the
        # start where that or flashinfer is missing; its own sampler needs neither.
        switches["VLLM_USE_FLASHINFER_SAMPLER"] = "0"
    else:
        switches |= {
            # All share the cores (servers and trainer; trainer and rollout take turns); binding
            # would give each a fixed one.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": str(cpu_threads),
            # vLLM compiles a few sampler functions on first use: half a minute and a C++ compiler
            # for nothing at this size.
            "TORCHDYNAMO_DISABLE": "1",
            # A dozen processes with an arena a thread never give freed memory back.
            "MALLOC_ARENA_MAX": "2",
        }
    return switches
