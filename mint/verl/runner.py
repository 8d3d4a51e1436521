"""The Ray task runner that builds `MintTrainer` inside the cluster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mint.rundir.directory import RunDir
from mint.verl.phases import note
from rewards.errors import ConfigError

_NAME, _NAMESPACE = "MintTaskRunner", "mint"
_QUEUE, _QUEUE_NAMESPACE = "TransferQueueController", "transfer_queue"


class MintTaskRunner:
    """verl's run sequence with mint's trainer in the place of the registered one.

    verl's own runner is a Ray actor class already and cannot be subclassed; registering a new
    trainer mode instead would switch verl to its asynchronous replay buffer.
    """

    def run(self, config: Any) -> None:
        """Train until the configured last step. Exceptions reach the driver."""
        run = RunDir(Path(config.mint.run.dir))
        note(run, "ray")
        require_free_cluster()
        import transfer_queue as tq
        from omegaconf import OmegaConf

        config.transfer_queue.enable = True
        OmegaConf.resolve(config)
        with ThreadPoolExecutor(1) as starting:
            # The queue's processes and this one import for seconds: side by side.
            queue = starting.submit(tq.init, config.transfer_queue)
            from verl.utils.logging_utils import configure_verl_logging

            from mint.verl.trainer import MintTrainer

            queue.result()
        configure_verl_logging()
        note(run, "queue")
        trainer, done = None, False
        try:
            trainer = MintTrainer(config=config)
            trainer.init()
            trainer.fit(trainer.agent_loop_manager)
            done = True
        finally:
            if trainer is not None and hasattr(trainer, "logger"):
                trainer.logger.finish(exit_code=0 if done else 1)
            tq.close()


def require_free_cluster() -> None:
    """Raise ConfigError when another verl run works in this cluster.

    TransferQueue joins the queue that is there, whoever made it: two runs would train on each
    other's replies, and the first to end would close the queue of both.
    """
    try:
        ray.get_actor(_QUEUE, namespace=_QUEUE_NAMESPACE)
    except ValueError:
        return
    raise ConfigError(_TAKEN)


_TAKEN = (
    "another run of verl or mint uses this Ray cluster, and the two would train on each other's "
    "replies; wait for its end, or give this run a Ray of its own (ray_kwargs.ray_init.address="
    "local)"
)


class RunnerHere:
    """What verl's `run_ppo` takes for an actor class: the runner, once in the cluster and on the
    driver's machine, because it writes the run directory."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self._options = options or {}

    def options(self, **options: Any) -> RunnerHere:
        """The same with more options of Ray's."""
        return RunnerHere({**self._options, **options})

    def remote(self) -> Any:
        """Start the runner. Raises ConfigError when the cluster has one."""
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(MintTaskRunner).options(
            # No CPU is booked: the driver's machine may be a head that has none to give.
            **{"num_cpus": 0, **self._options},
            name=_NAME,
            namespace=_NAMESPACE,
            scheduling_strategy=here,
        )
        try:
            return actor.remote()
        except ValueError as error:
            if "already taken" in str(error) or "already exists" in str(error):
                raise ConfigError(_TAKEN) from error
            raise
