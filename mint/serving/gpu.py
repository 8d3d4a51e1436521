"""GPU memory of processes, as nvidia-smi reports it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection

_QUERY = ("--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits")


def gpu_memory_gib(pids: Collection[int]) -> float | None:
    """GPU memory that the processes use together; None when it cannot be known."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        done = subprocess.run(
            [tool, *_QUERY], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    used = [
        int(size)
        for pid, size in (line.split(",") for line in done.stdout.splitlines() if "," in line)
        if int(pid) in pids and size.strip().isdigit()
    ]
    return sum(used) / 1024 if used else None
