"""The machine as one value: `read_machine()`, in well under a second."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mint.machine.gpus import Gpu, cuda_of_driver, read_gpus
from mint.machine.limits import GIB, Memory, read_memory, usable_cores
from mint.machine.packages import read_versions, torch_cuda
from mint.machine.ray_clusters import RayCluster, ray_clusters


class Disk(NamedTuple):
    """Room on the file system of a path, in GiB."""

    total_gib: float
    free_gib: float


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Facts of a machine; memory in GiB."""

    python: str
    system: str
    """Operating system and processor type."""
    cores: int
    """Cores that this process may use: its affinity and its control group's quota."""
    memory: Memory
    shm_free_gib: float
    """Free room of /dev/shm, through which processes hand tensors to each other."""
    gpus: tuple[Gpu, ...]
    cuda: str | None
    """Newest CUDA that the driver runs; None without a driver."""
    versions: dict[str, str]
    """Distribution -> installed version, of those that the stacks name."""
    torch_cuda: str | None
    """CUDA that torch was built for; None for the CPU build and without torch."""
    clusters: tuple[RayCluster, ...]
    """Ray clusters that run here already."""


def read_machine() -> Machine:
    """What this machine has now."""
    return Machine(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=usable_cores(),
        memory=read_memory(),
        shm_free_gib=disk("/dev/shm").free_gib if Path("/dev/shm").is_dir() else 0.0,
        gpus=read_gpus(os.environ),
        cuda=cuda_of_driver(),
        versions=read_versions(),
        torch_cuda=torch_cuda(),
        clusters=ray_clusters(),
    )


def folder_gib(folder: Path) -> float:
    """What lies in a folder already; 0 when there is none."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / GIB


def disk(path: str | Path) -> Disk:
    """Room where `path` is or, with its missing parents, would be."""
    place = Path(path).absolute()
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    return Disk(usage.total / GIB, usage.free / GIB)
