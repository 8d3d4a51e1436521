"""What the figures of a benchmark depend on besides the code: machine, load and versions."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil

import mint
from mint.machine.limits import GIB
from mint.machine.processor import cpu_name, cpuinfo
from mint.rundir.manifest import git_state, package_versions

CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
"""Instruction sets that decide how fast float32 and bfloat16 products are."""


def facts() -> dict[str, Any]:
    """Machine, versions and revision, ready for JSON."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "cpu_flags": cpu_flags(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "mint": mint.__version__,
        "git": git_state(Path(mint.__file__).parent),
        "packages": package_versions(),
    }


def load() -> float:
    """Processes that wanted to run in the last minute, on average."""
    return os.getloadavg()[0]


def busy_note(cores: int) -> str:
    """A warning when other work takes a share of the machine, else ""."""
    now = load()
    if now <= 0.3 * cores:
        return ""
    return f"note: the machine is busy (load {now:.1f} on {cores} cores); figures will be too slow"


def cpu_flags() -> list[str]:
    """The members of CPU_FLAGS this processor has; empty where /proc/cpuinfo does not exist."""
    known = set(cpuinfo("flags").split())
    return [flag for flag in CPU_FLAGS if flag in known]
