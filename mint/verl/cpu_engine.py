"""FSDP engine for `trainer.device: cpu`; loaded through `actor_rollout_ref.model.external_lib`."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import NonTensorStack, TensorDict
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp import transformer_impl
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead


def logprobs_from_logits(
    logits: torch.Tensor, labels: torch.Tensor, inplace_backward: bool = True
) -> torch.Tensor:
    """Log-probability of each label, float32 [N], from logits [N, V] of any float type.

    verl's version without flash-attention loops over tokens in Python, forward and backward; on a
    CPU that loop is most of a training step.
    """
    flat = logits.reshape(-1, logits.shape[-1]).float()
    loss = torch.nn.functional.cross_entropy(flat, labels.reshape(-1), reduction="none")
    return -loss.view(labels.shape)


transformer_impl.logprobs_from_logits = logprobs_from_logits


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPEngineWithLMHead(FSDPEngineWithLMHead):
    """verl's FSDP engine, made to fit a CPU."""

    def _build_fsdp_module(self, module: Any) -> Any:
        # verl gives forward-only models a CPU-offload policy that pins host memory for an
        # accelerator, which fails where there is none. A reference model already in host memory
        # needs no offloading. The dataclass is frozen; the flag is put back right after.
        forward_only = self.engine_config.forward_only
        object.__setattr__(self.engine_config, "forward_only", False)
        try:
            return super()._build_fsdp_module(module)
        finally:
            object.__setattr__(self.engine_config, "forward_only", forward_only)

    def forward_step(self, micro_batch: TensorDict, *args: Any, **kwargs: Any) -> Any:
        # Per-row Python objects (reward details, raw prompts) are no use to a forward pass, and
        # verl's device move copies each of them one by one.
        rows = [key for key, value in micro_batch.items() if isinstance(value, NonTensorStack)]
        return super().forward_step(micro_batch.exclude(*rows), *args, **kwargs)
