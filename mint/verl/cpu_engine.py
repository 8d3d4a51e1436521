"""FSDP engine for `trainer.device: cpu`; loaded through `actor_rollout_ref.model.external_lib`."""

from __future__ import annotations

from typing import Any

from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPEngineWithLMHead(FSDPEngineWithLMHead):
    """verl's FSDP engine without the CPU-offload policy it forces on forward-only models.

    That policy pins host memory for an accelerator, which fails where there is none. A reference
    model already in host memory needs no offloading.
    """

    def _build_fsdp_module(self, module: Any) -> Any:
        forward_only = self.engine_config.forward_only
        # The dataclass is frozen against accidental writes; this flag is put back right after.
        object.__setattr__(self.engine_config, "forward_only", False)
        try:
            return super()._build_fsdp_module(module)
        finally:
            object.__setattr__(self.engine_config, "forward_only", forward_only)
