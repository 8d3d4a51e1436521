"""Both ends of a push of weights to vLLM, on sockets of the run's own Ray cluster.

verl 0.9.1 puts the sockets into /tmp and names them after the Ray job, which is the first one in
every Ray that a run starts. So two runs at the same time on one machine would take them away from
each other: one would wait for ever, or generate with the other's weights.

Imports vLLM, and is imported by name only: verl finds `Sender` through `mint.verl.weight_sockets`,
vLLM `Receiver` through `rollout.engine_kwargs.vllm.worker_extension_cls`.
"""

from __future__ import annotations

from typing import Any

import ray
from verl.workers.rollout.vllm_rollout import ServerAdapter
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension


def of_cluster(handle: str, cluster: str) -> str:
    """verl's address of a socket for this Ray cluster alone (the name of its session, which all of
    its nodes share; an address may be too long for a socket)."""
    return f"{handle.removesuffix('.sock')}-{cluster}.sock"


class Sender(ServerAdapter):  # type: ignore[misc]
    """verl's, which binds a socket for each rank of the trainer."""

    zmq_handle: str
    _told = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cluster = str(ray.get_runtime_context().get_session_name())
        engine = self.config.engine_kwargs.get("vllm") or {}
        # A run that began without the receiver goes on with verl's own addresses.
        self._told = engine.get("worker_extension_cls") is None
        if not self._told:
            self.zmq_handle = of_cluster(self.zmq_handle, self._cluster)

    async def update_weights(self, *args: Any, **kwargs: Any) -> None:
        """verl's; the other end is told the cluster first, because vLLM's processes know none."""
        if not self._told:
            await self._execute_method("use_sockets_of", args=(self._cluster,))
            self._told = True
        await super().update_weights(*args, **kwargs)


class Receiver(vLLMColocateWorkerExtension):  # type: ignore[misc]
    """verl's, which connects to the sockets."""

    _cluster = ""

    def use_sockets_of(self, cluster: str) -> None:
        """Called from `Sender` before the first push."""
        self._cluster = cluster

    def _get_zmq_handle(self) -> str:
        own = super()._get_zmq_handle()
        return of_cluster(own, self._cluster) if self._cluster else own
