"""An engine whose gradients are no numbers; loaded through actor_rollout_ref.model.external_lib."""

from __future__ import annotations

from typing import Any

from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

import mint.verl.cpu_engine  # noqa: F401  (registers the engine of CPU runs)

_step = FSDPEngine.optimizer_step


def optimizer_step(self: Any) -> Any:
    """The real step after a gradient went bad."""
    next(p.grad for p in self.module.parameters() if p.grad is not None).mul_(float("nan"))
    return _step(self)


FSDPEngine.optimizer_step = optimizer_step
