"""What the trainer's processes of a CPU run load through `actor_rollout_ref.model.external_lib`."""

from __future__ import annotations

from typing import Any

from verl.workers.engine.base import EngineRegistry

# They register their losses, and what pushes weights.
from mint.verl import policy_loss, token_entropy, weight_sockets  # noqa: F401
from mint.verl.shared_engine import SharedPrompts


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPEngineWithLMHead(SharedPrompts):
    """verl's FSDP engine with shared prompts, for processors."""

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
