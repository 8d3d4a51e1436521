"""Batch sizes for which vLLM records CUDA graphs: those that a training step can need."""

from __future__ import annotations

import math

from omegaconf import DictConfig

_UNEVEN = 1.25
"""Replies are handed to whichever server has fewest, and end at different times."""


def fill_graph_sizes(config: DictConfig) -> None:
    """Set rollout.cudagraph_capture_sizes on GPUs unless they are given or graphs are off.

    vLLM would record 51 sizes up to 512, whatever the batch is: part of every start. A larger
    batch, in a validation, is decoded without a graph: slower, with the same result.
    """
    rollout = config.actor_rollout_ref.rollout
    if config.trainer.device != "cuda" or rollout.enforce_eager or rollout.cudagraph_capture_sizes:
        return
    ranks = int(config.trainer.n_gpus_per_node) * int(config.trainer.nnodes)
    servers = max(1, ranks // int(rollout.tensor_model_parallel_size))
    replies = int(config.data.train_batch_size) * int(rollout.n)
    each = math.ceil(replies / servers * (1 if servers == 1 else _UNEVEN))
    rollout.cudagraph_capture_sizes = graph_sizes(min(each, int(rollout.max_num_seqs)))


def graph_sizes(most: int) -> list[int]:
    """Sizes up to `most`; a batch between two of them is padded to the larger one."""
    grid = (1, 2, 4, *range(8, 64, 8), *range(64, most, 16))
    return [*(size for size in grid if size < most), most]
