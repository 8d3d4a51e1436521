"""What a run's folder says about its models and its held-out rows."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from mint.config.schema import MintConfig
from mint.rundir.directory import RunDir
from rewards.errors import ConfigError

LABELS = ("before", "after")


def labels_of(which: str) -> tuple[str, ...]:
    """("before",), ("after",) or both. Raises ConfigError for anything else."""
    if which not in (*LABELS, "both"):
        raise ConfigError(f"which must be before, after or both, got {which!r}")
    return LABELS if which == "both" else (which,)


def model_path(run: RunDir, config: DictConfig, label: str) -> str:
    """Where the policy before or after the training is."""
    if label == "before":
        path = OmegaConf.select(config, "actor_rollout_ref.model.path")
        if not path:
            raise ConfigError(f"{run.config_path} has no actor_rollout_ref.model.path")
        return str(path)
    if not run.model_path.is_dir():
        raise ConfigError(f"{run.model_path} does not exist: the run has no trained model yet")
    return str(run.model_path)


def rows_path(config: DictConfig, mint: MintConfig) -> str:
    """The run's held-out rows."""
    # The trainer's copy of the path is absolute; mint's may be relative to where it was started.
    path = OmegaConf.select(config, "data.val_files")
    return str(path) if path else mint.data.val_file
