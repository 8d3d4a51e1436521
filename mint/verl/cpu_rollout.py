"""vLLM worker extension for CPU rollouts; `rollout.engine_kwargs.vllm.worker_extension_cls`.

vLLM's CPU build lays every linear weight out anew after loading, for products of few rows, and
leaves an empty parameter behind that has no loader, so verl's first weight push fails. Here the
plain weight stays beside the packed one: pushes go there, and verl has vLLM pack again after each
of them. vLLM imports this module in its worker process before the model is loaded, and looks the
dispatch function up at call time.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.model_executor.layers import utils as vllm_layer_utils

from mint.verl.weight_push import Receiver

_dispatch = vllm_layer_utils.dispatch_cpu_unquantized_gemm


def _keep_weight(layer: Any, remove_weight: bool = False) -> None:
    """vLLM's dispatcher, which packs the weight and chooses the kernel, but never removes it."""
    _dispatch(layer, remove_weight=False)


vllm_layer_utils.dispatch_cpu_unquantized_gemm = _keep_weight


class CpuWorkerExtension(Receiver):
    """The receiver of weights; importing this module is what makes weight pushes work on a CPU.

    `engine_kwargs.vllm.additional_config.num_threads` are torch's threads in the engine; without it
    OMP_NUM_THREADS decides, which every process of a run shares.
    """

    def __new__(cls, **kwargs: Any) -> CpuWorkerExtension:
        threads = kwargs["vllm_config"].additional_config.get("num_threads")
        if threads is not None:
            torch.set_num_threads(int(threads))  # later vLLM puts it out of use
        return super().__new__(cls, **kwargs)
