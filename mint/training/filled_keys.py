"""Keys of a composed configuration that mint fills in when a run begins, most of them verl's."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from mint.config.schema import MintConfig
from mint.rundir.directory import RunDir
from mint.training.graphs import fill_graph_sizes
from mint.verl.checkpoint import newest_checkpoint
from mint.verl.environment import AGENT_LOOPS
from rewards.precision import resolve_dtype

_SERVED_FILES = ("prompts", "token_file", "cache", "record", "replay")


def fill_verl_keys(config: DictConfig, mint: MintConfig) -> None:
    """Set what follows from other keys, in place: where a run goes on, absolute paths, graph sizes,
    and the numbers to compute in where they are "auto"."""
    with open_dict(config):
        fill_graph_sizes(config)
        config.trainer.resume_mode = "disable"
        if mint.run.resume and (newest := newest_checkpoint(RunDir(Path(mint.run.dir)))):
            # By name: verl's own choice (auto) starts from scratch when it finds nothing.
            config.trainer.resume_mode = "resume_path"
            config.trainer.resume_from_path = str(newest)
        # Workers on other nodes, and a continuation on another processor, grade in the format that
        # the run begins with: it is a part of the graders' identity.
        config.mint.encoder.dtype = resolve_dtype(str(config.mint.encoder.dtype))
        if config.trainer.device == "cpu":
            _fill_precision(config)
        config.trainer.logger = list(dict.fromkeys(["tensorboard", *config.trainer.logger]))
        for key in ("train_files", "val_files"):
            config.data[key] = str(Path(str(config.data[key])).resolve())
        config.actor_rollout_ref.rollout.agent.agent_loop_config_path = AGENT_LOOPS
        for grader in (config.mint.tagger, config.mint.judge):
            for key in _SERVED_FILES:
                if grader.served.get(key):
                    # Reward workers and later evaluations may run in another folder.
                    grader.served[key] = str(Path(grader.served[key]).expanduser().resolve())
        for model in (config.actor_rollout_ref.model, config.critic.model):
            path = Path(str(model.path)).expanduser()
            if path.is_dir():
                model.path = str(path.resolve())


def _fill_precision(config: DictConfig) -> None:
    """The arithmetic that this processor is fast in, where trainer and rollout say auto."""
    policy = config.actor_rollout_ref
    for engine in (policy.actor.fsdp_config, policy.ref.fsdp_config, config.critic.fsdp):
        # verl lists no such key: one that is not set is not there.
        if (mixed := OmegaConf.select(engine, "mixed_precision")) is not None:
            mixed.param_dtype = resolve_dtype(str(mixed.param_dtype))
    policy.rollout.dtype = resolve_dtype(str(policy.rollout.dtype))
