"""Both ends of a push of weights to vLLM, on the socket of `mint.verl.weight_socket`.

Imports vLLM. verl loads `Sender` by name in the trainer's processes (`weight_socket.register`),
vLLM loads `Receiver` in its own (`rollout.engine_kwargs.vllm.worker_extension_cls`).
"""

from __future__ import annotations

from typing import Any

from verl.workers.rollout.vllm_rollout import ServerAdapter
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension

from mint.verl.weight_socket import of_this_run


class Sender(ServerAdapter):  # type: ignore[misc]
    """verl's, which binds the socket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zmq_handle = of_this_run(self.zmq_handle)


class Receiver(vLLMColocateWorkerExtension):  # type: ignore[misc]
    """verl's, which connects to it."""

    def _get_zmq_handle(self) -> str:
        return of_this_run(super()._get_zmq_handle())
