"""The Ray task runner that builds `MintTrainer` inside the cluster."""

from __future__ import annotations

from typing import Any

import ray


class MintTaskRunner:
    """verl's run sequence with mint's trainer in the place of the registered one.

    verl's own runner is a Ray actor class already and cannot be subclassed; registering a new
    trainer mode instead would switch verl to its asynchronous replay buffer.
    """

    def run(self, config: Any) -> None:
        """Train until the configured last step. Exceptions reach the driver."""
        import transfer_queue as tq
        from omegaconf import OmegaConf
        from verl.trainer.ppo.v1 import AgentLoopManagerTQ
        from verl.utils.logging_utils import configure_verl_logging

        from mint.verl.trainer import MintTrainer

        configure_verl_logging()
        config.transfer_queue.enable = True
        OmegaConf.resolve(config)
        tq.init(config.transfer_queue)
        trainer, done = None, False
        try:
            trainer = MintTrainer(config=config)
            trainer.init()
            manager = AgentLoopManagerTQ.create(
                config=config,
                llm_client=trainer.get_llm_client(),
                teacher_client=trainer.get_teacher_client(),
                reward_loop_worker_handles=trainer.get_reward_handles(),
            )
            trainer.fit(manager)
            done = True
        finally:
            if trainer is not None and hasattr(trainer, "logger"):
                trainer.logger.finish(exit_code=0 if done else 1)
            tq.close()


def remote_runner() -> Any:
    """The runner as a Ray actor class, for verl's `run_ppo`."""
    return ray.remote(MintTaskRunner)
