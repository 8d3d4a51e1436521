"""Which GPUs are at hand, and who of several jobs at the same time gets which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from omegaconf import DictConfig

from mint.machine.gpus import ask_nvidia_smi
from rewards.errors import ConfigError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""CUDA's own variable: which GPUs a process may see."""


def at_hand(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Numbers or names of the GPUs that this process may use; () without any."""
    if VISIBLE in environment:
        names = [name.strip() for name in environment[VISIBLE].split(",")]
        return tuple(name for name in names if name and not name.startswith("-"))
    return tuple((ask_nvidia_smi("--query-gpu=index") or "").split())


class Need(NamedTuple):
    """What a job takes of this machine."""

    gpus: int
    whole: bool = False
    """Runs on several machines, so beside no other job here."""


def need_of(config: DictConfig) -> Need:
    """Of a composed configuration."""
    if str(config.trainer.device) != "cuda":
        return Need(0)
    return Need(int(config.trainer.n_gpus_per_node), int(config.trainer.nnodes) > 1)


class Pool:
    """The GPUs of this machine, handed out to jobs. Without GPUs, or for jobs that need none, jobs
    run one by one, or `parallel` at a time."""

    def __init__(self, gpus: Sequence[str], parallel: int | None = None) -> None:
        self._free = list(gpus)
        self._order = {gpu: i for i, gpu in enumerate(gpus)}
        self._parallel = parallel
        self._running = 0
        self._alone = False

    def check(self, need: Need) -> None:
        """Raise ConfigError for a job that there are too few GPUs for."""
        if self._order and not need.whole and need.gpus > len(self._order):
            raise ConfigError(
                f"trainer.n_gpus_per_node={need.gpus}, but {len(self._order)} GPUs are at hand "
                f"({', '.join(self._order)})"
            )

    def take(self, need: Need) -> tuple[str, ...] | None:
        """GPUs for a job, () when it sees to that itself; None while it has to wait."""
        counted = need.gpus > 0 and not need.whole and bool(self._order)
        most = self._parallel or (len(self._order) if counted else 1)
        if self._alone or self._running >= most or (need.whole and self._running):
            return None
        if counted and len(self._free) < need.gpus:
            return None
        self._running += 1
        self._alone = need.whole or not (counted or self._parallel)
        taken = tuple(self._free[: need.gpus]) if counted else ()
        self._free = self._free[len(taken) :]
        return taken

    def give_back(self, gpus: Sequence[str]) -> None:
        """What `take` gave, once the job has ended."""
        self._free = sorted([*self._free, *gpus], key=self._order.__getitem__)
        self._running -= 1
        self._alone = False

    def __str__(self) -> str:
        if not self._order:
            return f"{self._parallel} at a time" if self._parallel else "one after the other"
        at_most = f", at most {self._parallel} at a time" if self._parallel else ""
        return f"on {len(self._order)} GPUs ({', '.join(self._order)}){at_most}"
