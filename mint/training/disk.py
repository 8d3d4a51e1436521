"""Whether a run's checkpoints and model fit on the disk."""

from __future__ import annotations

from pathlib import Path

import psutil
from omegaconf import DictConfig

from mint.policy.model_files import ModelFacts
from mint.rundir.directory import RunDir
from mint.rundir.space import checkpoint_gb, most_checkpoints, needed_disk_gb, used_gb
from rewards.errors import ConfigError


def check_disk(config: DictConfig, facts: ModelFacts) -> None:
    """Raise ConfigError unless what the run will save fits beside what its folder has already."""
    if not facts.num_parameters:
        return
    run = RunDir(Path(str(config.mint.run.dir)))
    there = next(place for place in (run.path, *run.path.parents) if place.exists())
    free = psutil.disk_usage(str(there)).free / 1e9 + used_gb(run.checkpoints_path)
    needed = needed_disk_gb(config, facts.num_parameters)
    if free < needed:
        number = most_checkpoints(config)
        raise ConfigError(
            f"not enough disk space in {there}: {number or 'all'} checkpoints of "
            f"{checkpoint_gb(config, facts.num_parameters):.1f} GB and the model need about "
            f"{needed:.1f} GB, {free:.1f} GB are free; lower trainer.max_actor_ckpt_to_keep, "
            "choose another mint.run.dir, or free space"
        )
