"""Cores and memory of this process, within the limits that a container or a batch system sets."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NamedTuple

import psutil

GIB = 1024**3
_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


class Memory(NamedTuple):
    """Host memory in GiB."""

    total_gib: float
    available_gib: float
    limited: bool
    """Whether a control group allows less than the machine has."""


def usable_cores(root: Path = _ROOT, own: Path = _OWN) -> int:
    """Cores of the affinity mask, or the control group's quota where that is less (rounded up)."""
    cores = float(len(os.sched_getaffinity(0)))
    for folder in _groups("cpu", root, own):
        cores = min(cores, _quota(folder))
    return max(1, math.ceil(cores))


def read_memory(root: Path = _ROOT, own: Path = _OWN) -> Memory:
    """Total and available memory; the smallest limit of the enclosing control groups counts."""
    machine = psutil.virtual_memory()
    total, available = float(machine.total), float(machine.available)
    for folder in _groups("memory", root, own):
        limit, used = _limit(folder)
        total, available = min(total, limit), min(available, max(0.0, limit - used))
    return Memory(total / GIB, available / GIB, total < machine.total)


def _groups(controller: str, root: Path, own: Path) -> list[Path]:
    """Folders of the control groups around this process, innermost first (version 2, then 1)."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if controllers and controller not in names:
            continue
        base = root if not controllers else root / controllers
        # Inside a container the path is the host's, but only the root is mounted.
        inner = base / path.lstrip("/")
        folders += [f for f in (inner, *inner.parents) if f == base or base in f.parents]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _quota(folder: Path) -> float:
    """Cores that the group may use; infinity without a limit."""
    two = _words(folder / "cpu.max")
    if len(two) == 2 and two[0] != "max":
        return int(two[0]) / int(two[1])
    quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
    if quota and period and int(quota[0]) > 0:
        return int(quota[0]) / int(period[0])
    return math.inf


def _limit(folder: Path) -> tuple[float, float]:
    """Bytes that the group may hold and holds, page cache that can be given back left out."""
    for most, now in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        limit, used = _words(folder / most), _words(folder / now)
        if limit and used and limit[0] != "max":
            cache = _stat(folder / "memory.stat", ("inactive_file", "total_inactive_file"))
            return float(limit[0]), max(0.0, float(used[0]) - cache)
    return math.inf, 0.0


def _stat(path: Path, names: tuple[str, ...]) -> float:
    words = _words(path)
    found = [float(b) for a, b in zip(words[::2], words[1::2], strict=False) if a in names]
    return max(found, default=0.0)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []
