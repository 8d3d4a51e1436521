"""The verl platform "cpu": lets VERL 0.9.1 train on a machine without an accelerator.

verl imports this module in every process through the `verl.plugins` entry point; importing it is
what registers the platform, so it must stay light (no vllm, no verl engine modules). verl hides an
import error here at debug level: `mint.verl.worker` checks that registration happened.

The platform never detects itself (`is_platform_available` is False), so GPU machines are untouched;
`VERL_PLATFORM=cpu`, verl's documented switch, selects it and `mint.verl.environment` sets that when
the configuration says `trainer.device: cpu`.
"""

from __future__ import annotations

import ctypes
import functools
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import psutil
import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry

PLATFORM = "cpu"


class _CpuDeviceModule(ModuleType):
    """`torch.cpu` plus the functions that verl calls on `torch.cuda`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """Stands in for device functions without meaning on a CPU."""


def _return_freed_memory() -> None:
    """Give the pages of freed tensors back to the system. glibc keeps them in ever more pieces:
    rows of other lengths in every step make a trainer grow by hundreds of megabytes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # another C library than glibc has none
        trim(0)


def _resident_bytes(*_args: Any, **_kwargs: Any) -> int:
    return int(psutil.Process().memory_info().rss)


def _memory_info(*_args: Any, **_kwargs: Any) -> tuple[int, int]:
    memory = psutil.virtual_memory()
    return int(memory.available), int(memory.total)


@functools.cache
def _device_module() -> ModuleType:
    module = _CpuDeviceModule("mint_torch_cpu")
    memory = (f"{most}memory_{kind}" for most in ("", "max_") for kind in ("allocated", "reserved"))
    meaningless = (
        "ipc_collect",
        "reset_peak_memory_stats",
        "memory_stats",
        "set_per_process_memory_fraction",
        "synchronize",
        "set_device",
    )
    vars(module).update(
        dict.fromkeys(memory, _resident_bytes),
        **dict.fromkeys(meaningless, _nothing),
        empty_cache=_return_freed_memory,
        mem_get_info=_memory_info,
        is_available=lambda: True,
        device_count=lambda: 1,
        current_device=lambda: PLATFORM,
        get_device_name=lambda *_: "CPU",
        get_rng_state=lambda *_: torch.get_rng_state(),
        set_rng_state=lambda state, *_: torch.set_rng_state(state),
        manual_seed=torch.manual_seed,
        manual_seed_all=torch.manual_seed,
    )
    return module


@PlatformRegistry.register(platform=PLATFORM)
class CpuPlatform(PlatformBase):
    """verl's hardware interface answered for a CPU."""

    @property
    def device_name(self) -> str:
        return "cpu"

    @property
    def vendor_name(self) -> str:
        return "cpu"

    @property
    def device_module(self) -> ModuleType:
        return _device_module()

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        return False

    def current_device(self) -> Any:
        # An integer would be read as cuda:<n> wherever verl calls tensor.to(device).
        return PLATFORM

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None:
        """There is only one."""

    def synchronize(self, device_index: int | None = None) -> None:
        """CPU work is synchronous."""

    def manual_seed(self, seed: int) -> None:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        self.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        """No caching allocator."""

    def empty_cache(self) -> None:
        _return_freed_memory()

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        yield

    def profiler_start(self) -> None:
        """No device profiler."""

    def profiler_stop(self) -> None:
        """No device profiler."""

    def ray_resource_name(self) -> str:
        # verl counts only "GPU"/"NPU" when it builds resource pools; the run declares as many
        # logical GPUs to Ray as it has data-parallel ranks.
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return []

    def is_ipc_supported(self) -> bool:
        return False

    def cudart(self) -> None:
        return None


def _deduplicate_backends() -> None:
    """Make torch accept the backend string verl builds ("cpu:gloo,cpu:gloo" on this platform)."""
    original = torch.distributed.init_process_group

    @functools.wraps(original)
    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if backend is not None and "," in backend:
            backend = ",".join(dict.fromkeys(backend.split(",")))
        return original(backend, *args, **kwargs)

    torch.distributed.init_process_group = init_process_group


# Chosen by the launcher of a CPU run; every other process that imports verl is left alone.
if os.environ.get("VERL_PLATFORM") == PLATFORM:
    _deduplicate_backends()
