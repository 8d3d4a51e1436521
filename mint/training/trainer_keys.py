"""verl's own keys that would let a run start and then lose it: checked before anything starts."""

from __future__ import annotations

import importlib.util
import math
import netrc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from omegaconf import DictConfig, ListConfig, OmegaConf

from mint.config.rules import PART, POSITIVE, SHARE, Rule, at_least, or_null
from mint.config.schema import MintConfig
from mint.shell.cli import nearest
from mint.training.verl_words import WORDS
from rewards.errors import ConfigError

_COUNT = Rule("a whole number >= 1", lambda value: isinstance(value, int) and value >= 1)
_RULES = {
    "trainer.total_training_steps": or_null(_COUNT),
    "trainer.total_epochs": _COUNT,
    "trainer.max_actor_ckpt_to_keep": or_null(_COUNT),
    "trainer.n_gpus_per_node": _COUNT,
    "trainer.nnodes": _COUNT,
    "data.train_batch_size": _COUNT,
    "data.max_prompt_length": _COUNT,
    "data.max_response_length": _COUNT,
    "actor_rollout_ref.rollout.n": _COUNT,
    "actor_rollout_ref.rollout.temperature": POSITIVE,
    "actor_rollout_ref.rollout.top_p": PART,
    "actor_rollout_ref.rollout.gpu_memory_utilization": PART,
    "actor_rollout_ref.rollout.tensor_model_parallel_size": _COUNT,
    "actor_rollout_ref.actor.ppo_mini_batch_size": _COUNT,
    "actor_rollout_ref.actor.optim.lr": POSITIVE,
    "actor_rollout_ref.actor.kl_loss_coef": at_least(0),
    "algorithm.gamma": PART,
    "algorithm.lam": SHARE,
    "critic.optim.lr": POSITIVE,
    **WORDS,
}


class _Tracker(NamedTuple):
    """What a logger of verl needs besides its name."""

    package: str = ""
    """Importable name; "" needs none."""
    variables: tuple[str, ...] = ()
    """Environment variables that must all be set, unless the host is in ~/.netrc."""
    host: str = ""
    offline: tuple[str, str] = ("", "")
    """Environment variable and value with which nobody needs to log in."""
    login: str = ""
    """What to do."""


TRACKERS = {
    "console": _Tracker(),
    "file": _Tracker(),
    "tensorboard": _Tracker("tensorboard"),
    "wandb": _Tracker(
        "wandb", ("WANDB_API_KEY",), "api.wandb.ai", ("WANDB_MODE", "offline"), "`wandb login`"
    ),
    "swanlab": _Tracker(
        "swanlab", ("SWANLAB_API_KEY",), "", ("SWANLAB_MODE", "local"), "a key of your account"
    ),
    "mlflow": _Tracker("mlflow"),
    "clearml": _Tracker("clearml"),
    "trackio": _Tracker("trackio"),
    "rl_insight": _Tracker("rl_insight"),
    "vemlp_wandb": _Tracker(
        "volcengine_ml_platform",
        ("VOLC_ACCESS_KEY_ID", "VOLC_SECRET_ACCESS_KEY", "MLP_TRACKING_REGION"),
    ),
}
"""The loggers of verl 0.9.1 (verl/utils/tracking.py)."""


def check_trainer_keys(config: DictConfig, mint: MintConfig) -> None:
    """Raise ConfigError for the first value that verl would take and then fail on, or never save
    with."""
    for key, rule in _RULES.items():
        value = OmegaConf.select(config, key)
        if not _holds(rule, value):
            raise ConfigError(f"{key} must be {rule.text}, got {value!r}")
    _check_saves(config.trainer.save_freq, mint)
    _check_place(config, mint)
    check_loggers(config.trainer.logger, os.environ)


def _holds(rule: Rule, value: Any) -> bool:
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return False
    try:
        return rule.holds(value)
    except TypeError:  # not to be compared: no number
        return False


def _check_saves(every: Any, mint: MintConfig) -> None:
    whole = isinstance(every, int) and not isinstance(every, bool)
    if whole and (every >= 1 or mint.validation.every_steps is not None):
        return
    raise ConfigError(
        f"trainer.save_freq={every}: nothing would ever be saved, and the trained policy would be "
        "lost; give a whole number of steps >= 1 (the last step is saved as well, so a large one "
        "saves at the end only)"
    )


def _check_place(config: DictConfig, mint: MintConfig) -> None:
    """Checkpoints are looked for in one place, and counted when verl says that they are whole."""
    place = str(config.trainer.default_local_dir)
    wanted = Path(mint.run.dir) / "checkpoints"
    if mint.run.dir and Path(place).resolve() != wanted.resolve():
        raise ConfigError(
            f"trainer.default_local_dir={place}: checkpoints are kept in the run directory, "
            f"{wanted}; set mint.run.dir instead"
        )
    key = "actor_rollout_ref.actor.checkpoint.async_save"
    if OmegaConf.select(config, key):
        raise ConfigError(
            f"{key}=true: verl then does not say which checkpoint is whole; use false"
        )


def check_loggers(names: Any, environment: Mapping[str, str]) -> None:
    """Every name is a logger of verl, its package is installed, and it need not ask who is there: a
    training process cannot. Raises ConfigError."""
    if not isinstance(names, ListConfig | Sequence) or isinstance(names, str):
        raise ConfigError(f"trainer.logger must be a list such as [wandb], got {names!r}")
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(
                f"trainer.logger: there is no logger {name!r}{nearest(str(name), TRACKERS)}"
            )
        tracker = TRACKERS[name]
        if tracker.package and importlib.util.find_spec(tracker.package) is None:
            raise ConfigError(
                f"trainer.logger=[{name}]: the package {tracker.package} is not installed; install "
                "it or take the logger out"
            )
        _check_login(name, tracker, environment)


def _check_login(name: str, tracker: _Tracker, environment: Mapping[str, str]) -> None:
    missing = [variable for variable in tracker.variables if not environment.get(variable)]
    switch, value = tracker.offline
    known = ("offline", "disabled", "dryrun", "local")
    if not missing or (switch and environment.get(switch) in known):
        return
    if tracker.host and _is_in_netrc(tracker.host, environment):
        return
    way = [tracker.login] if tracker.login else []
    way += [f"the environment variable {' and '.join(missing)}"]
    way += [f"{switch}={value}"] if switch else []
    raise ConfigError(
        f"trainer.logger=[{name}]: nobody is logged in, and a training process cannot ask; it "
        f"needs {', or '.join(way)}"
    )


def _is_in_netrc(host: str, environment: Mapping[str, str]) -> bool:
    host = urlsplit(environment.get("WANDB_BASE_URL", "")).hostname or host
    path = Path(environment.get("NETRC") or Path.home() / ".netrc")
    try:
        return netrc.netrc(str(path)).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
