"""What the trainer's processes of a GPU run load through `actor_rollout_ref.model.external_lib`."""

from __future__ import annotations

from verl.workers.engine.base import EngineRegistry

# They register their losses, and what pushes weights.
from mint.verl import policy_loss, token_entropy, weight_sockets  # noqa: F401
from mint.verl.shared_engine import SharedPrompts


# An entry with a vendor is found before verl's own, which has none.
@EngineRegistry.register(
    model_type="language_model", backend=["fsdp", "fsdp2"], device="cuda", vendor="nvidia"
)
class GpuFSDPEngineWithLMHead(SharedPrompts):
    """verl's FSDP engine with shared prompts, for GPUs."""
