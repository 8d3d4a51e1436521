"""GPUs by name: memory, speed, bandwidth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from mint.shell.cli import nearest
from rewards.errors import ConfigError

_FILE = Path(__file__).with_name("gpus.yaml")


@dataclass(frozen=True, kw_only=True)
class GpuModel:
    """A kind of GPU."""

    name: str
    gib: float
    """Memory that CUDA can give out, GiB."""
    tflops: float
    """Dense bfloat16 matrix products, TFLOP/s, the maker's figure."""
    gb_s: float
    """Memory bandwidth, GB/s."""
    pcie_gb_s: float
    """To and from pinned host memory, GB/s."""


def gpu_named(name: str) -> GpuModel:
    """The GPU that `gpu=NAME` means. ConfigError for an unknown one."""
    known = _table()
    if name not in known:
        raise ConfigError(f"gpu={name} is not known{nearest(name, known)}")
    return known[name][0]


def gpu_of_machine(reported: str, total_gib: float) -> GpuModel | None:
    """The known GPU that nvidia-smi calls `reported`, with the memory it has here; None if none."""
    for model, matches in _table().values():
        if any(match in reported for match in matches):
            return GpuModel(**{**vars(model), "gib": total_gib})
    return None


@cache
def _table() -> dict[str, tuple[GpuModel, tuple[str, ...]]]:
    rows = yaml.safe_load(_FILE.read_text("utf-8"))
    return {
        name: (
            GpuModel(name=name, **{key: float(v) for key, v in row.items() if key != "matches"}),
            tuple(row["matches"]),
        )
        for name, row in rows.items()
    }
