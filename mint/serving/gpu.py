"""GPU memory of processes, as nvidia-smi reports it."""

from __future__ import annotations

from collections.abc import Collection

from mint.machine.gpus import ask_nvidia_smi


def gpu_memory_gib(pids: Collection[int]) -> float | None:
    """GPU memory that the processes use together; None when it cannot be known."""
    answer = ask_nvidia_smi("--query-compute-apps=pid,used_gpu_memory")
    if answer is None:
        return None
    used = [
        int(size)
        for pid, size in (line.split(",") for line in answer.splitlines() if "," in line)
        if int(pid) in pids and size.strip().isdigit()
    ]
    return sum(used) / 1024 if used else None
