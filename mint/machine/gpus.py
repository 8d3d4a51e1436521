"""GPUs as nvidia-smi reports them, and the CUDA of the driver."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

_QUERY = "index,uuid,name,memory.total,memory.free,driver_version"
_TIMEOUT_S = 20.0


class Gpu(NamedTuple):
    """One GPU; memory in GiB."""

    name: str
    total_gib: float
    free_gib: float
    driver: str


def read_gpus(environment: Mapping[str, str]) -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES in `environment` leaves visible; () without a driver."""
    found = parse_gpus(ask_nvidia_smi(f"--query-gpu={_QUERY}") or "")
    return tuple(found[key] for key in _visible(found, environment))


def ask_nvidia_smi(query: str) -> str | None:
    """Its answer as comma-separated lines without head and units; None where there is none."""
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def parse_gpus(text: str) -> dict[tuple[str, str], Gpu]:
    """(index, UUID) -> GPU from nvidia-smi's answer to `_QUERY`; lines of another form are left
    out (a GPU whose memory cannot be told, such as one cut into MIG slices)."""
    found = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 6 or not (fields[3].isdigit() and fields[4].isdigit()):
            continue
        index, uuid, name, total, free, driver = fields
        found[index, uuid] = Gpu(name, int(total) / 1024, int(free) / 1024, driver)
    return found


def _visible(
    found: Mapping[tuple[str, str], Gpu], environment: Mapping[str, str]
) -> list[tuple[str, str]]:
    """The keys that CUDA would see, in its order."""
    if "CUDA_VISIBLE_DEVICES" not in environment:
        return list(found)
    keys = []
    for wanted in environment["CUDA_VISIBLE_DEVICES"].split(","):
        name = wanted.strip()
        match = [k for k in found if k[0] == name or (name and k[1].startswith(name))]
        if not match:
            break  # as CUDA does: what follows an unknown device is invisible
        keys.append(match[0])
    return keys


def cuda_of_driver() -> str | None:
    """Newest CUDA version that the installed driver runs, such as "13.0"; None without one."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
        version = ctypes.c_int()
        if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"
