"""What a training step has to compute at least, and how fast this machine multiplies matrices."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from omegaconf import DictConfig

from mint.planning.models import shape_of
from mint.planning.time import pass_flop
from rewards.precision import torch_dtype

_SIDE = 2048
"""Rows and columns of the matrices that are multiplied for the rate."""
_TRIALS = 5


@dataclass(frozen=True, kw_only=True)
class Work:
    """A step's tokens, and the seconds that its matrix products alone would take."""

    tokens: float
    """Of all rows, prompts with their replies."""
    distinct_tokens: float
    """With the prompt of a group once."""
    gflop: float
    """Matrix products over distinct tokens: generation, reference, update."""
    gflop_per_s: float
    """Measured: products on all cores, in the numbers that the processor is fast in."""

    @property
    def floor_s(self) -> float:
        """No step can take less."""
        return self.gflop / self.gflop_per_s


def work_of(
    rows: Sequence[Mapping[str, Any]], config: DictConfig, gflop_per_s: float
) -> Work | None:
    """Mean work of these steps; None when the model's shape is not known."""
    shape = shape_of(str(config.actor_rollout_ref.model.path))
    if shape is None:
        return None
    replies = mean(float(row["reply/num"]) for row in rows)
    reply = replies * mean(float(row["reply/response_tokens/mean"]) for row in rows)
    prompt = mean(float(row["prompt/num_tokens/mean"]) for row in rows)
    groups = replies / int(config.actor_rollout_ref.rollout.n)
    distinct = groups * prompt + reply
    old = 0 if config.algorithm.rollout_correction.bypass_mode else 1
    # An update is a forward pass and twice its products backward.
    passes = 1 + old + 1 + 3
    return Work(
        tokens=replies * prompt + reply,
        distinct_tokens=distinct,
        gflop=passes * pass_flop(shape, distinct, reply, replies) / 1e9,
        gflop_per_s=gflop_per_s,
    )


def matrix_rate() -> float:
    """GFLOP/s of matrix products on all cores, in the numbers that a run on this processor
    computes in, the best of a few."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    try:
        a = torch.randn(_SIDE, _SIDE).to(torch_dtype("auto"))
        times = []
        for _ in range(_TRIALS):
            started = time.perf_counter()
            torch.mm(a, a)
            times.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return 2 * _SIDE**3 / min(times) / 1e9
