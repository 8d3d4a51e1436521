"""PPO: the trainer's side of a critic."""

from __future__ import annotations

from typing import Any

import ray
from verl.trainer.ppo.ray_trainer import Role
from verl.workers.engine_workers import TrainingWorker

from mint.verl import value_engine


class CriticWorker(TrainingWorker):
    """verl's worker, from a module that registers the engine.

    verl builds the critic's engine in the worker's constructor, of a configuration that was read in
    another process: nothing else makes the critic's own import what it needs.
    """

    engines = (value_engine.PackedValueEngine, value_engine.CpuValueEngine)


class WithCritic:
    """Mixin of a trainer: its critic, where `algorithm.adv_estimator` asks for one, is mint's."""

    role_worker_mapping: dict[Role, Any]
    _trains: bool
    """Whether the batch has a token to learn from."""

    def _init_resource_pool_mgr(self) -> None:
        super()._init_resource_pool_mgr()  # type: ignore[misc]
        if Role.Critic in self.role_worker_mapping:
            self.role_worker_mapping[Role.Critic] = ray.remote(CriticWorker)

    def _update_critic(self, batch: Any, metrics: dict[str, Any]) -> Any:
        # Without a single token to learn from verl would divide by their number, 0.
        if not self._trains:
            return batch
        return super()._update_critic(batch, metrics=metrics)  # type: ignore[misc]
