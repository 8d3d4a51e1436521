"""From a command line to a checked configuration, without starting anything.

Every error is a ConfigError of one line that names the key, the value and the nearest valid key.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from mint.shell.cli import nearest
from rewards.errors import ConfigError

CONFIG_MODULE = "mint.config"
CONFIG_NAME = "train"

# Nodes whose keys belong to another library and are passed on to it unread.
OPEN_NODES = (
    "actor_rollout_ref.rollout.engine_kwargs.vllm",
    "actor_rollout_ref.model.override_config.model_config",
    "actor_rollout_ref.actor.optim.override_optimizer_config",
    "actor_rollout_ref.actor.fsdp_config.mixed_precision",
    "actor_rollout_ref.ref.fsdp_config.mixed_precision",
    "data.apply_chat_template_kwargs",
    "mint.validation.choose",
    "ray_kwargs.ray_init.runtime_env.env_vars",
)

# Keys verl 0.9.1 accepts and ignores, with what to use instead (verl issues 6710, 7331 and source).
DEAD_KEYS = {
    "custom_reward_function": "reward.custom_reward_function, or mint.tagger / mint.judge",
    "reward_model": "reward.reward_model",
    "sandbox_fusion": "reward.sandbox_fusion",
    "data.truncation": "data.filter_overlong_prompts",
    "actor_rollout_ref.actor.use_torch_compile": "actor_rollout_ref.actor.fsdp_config."
    "use_torch_compile",
    "actor_rollout_ref.actor.use_prefix_grouper": "nothing: the engine never reads it",
    "algorithm.filter_groups.max_num_gen_batches": "algorithm.filter_groups."
    "max_inflight_gen_batches",
    "trainer.v1.sampler.sampler_kwargs.poll_interval": "mint.run.poll_interval_s",
    "trainer.v1.trainer_mode": "nothing: group rewards need verl's sync mode",
    "trainer.use_v1": "nothing: mint needs the V1 trainer",
}


def verl_config_dir() -> Path:
    """verl's own configuration folder, found without importing verl. ConfigError if absent."""
    spec = importlib.util.find_spec("verl")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "verl is not installed, and training needs it; run `make install`, or "
            "`pip install -e .[gpu]` on a GPU machine"
        )
    return Path(spec.submodule_search_locations[0]) / "trainer" / "config"


def searchpath_override() -> str:
    """The Hydra override that lets verl's configuration be composed without importing verl."""
    return f"hydra.searchpath=[file://{verl_config_dir()}]"


def compose_config(overrides: Sequence[str]) -> DictConfig:
    """The composed and key-checked configuration of one job."""
    return compose_configs([overrides])[0]


def compose_configs(jobs: Sequence[Sequence[str]]) -> list[DictConfig]:
    """The same of several jobs. Raises ConfigError for the first that cannot be composed."""
    try:
        known = dict(_leaves(_compose([])))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_first_line(error)) from error
    configs = []
    for overrides in jobs:
        try:
            config = _compose(overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_explain(error, overrides, known)) from error
        check_keys(config, known, overrides)
        configs.append(config)
    return configs


def expand_sweep(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Every combination of a multirun's overrides; a single job when nothing is swept."""
    parsed = parse_overrides(overrides)
    choices = [
        [f"{_key(o)}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [str(o.input_line)]
        for o in parsed
    ]
    for combination in itertools.product(*choices):
        yield list(combination)


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Hydra's view of the command line. ConfigError for what is not key=value."""
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError(_first_line(error)) from error


def check_keys(config: DictConfig, known: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse keys that nothing reads and keys that verl accepts but ignores.

    `known` holds every key with its value before a recipe or override changes it.
    """
    given = dict(_leaves(config))
    valid = _with_parents(known)
    for key in given:
        if key in valid or _is_open(key):
            continue
        raise ConfigError(
            f"unknown key {key!r}{nearest(key, valid, 0.6)} ({_source(key, overrides)})"
        )
    for key, value in given.items():
        for dead, instead in DEAD_KEYS.items():
            if (key == dead or key.startswith(dead + ".")) and value != known.get(key):
                raise ConfigError(
                    f"{key} has no effect in verl 0.9.1; use {instead} ({_source(key, overrides)})"
                )


def _compose(overrides: Sequence[str]) -> DictConfig:
    with initialize_config_module(CONFIG_MODULE, version_base=None):
        return compose(CONFIG_NAME, overrides=[searchpath_override(), *overrides])


def _explain(error: Exception, overrides: Sequence[str], known: Iterable[str]) -> str:
    text = str(error)
    cause = str(error.__cause__ or "")
    for pattern in (r"Could not override '([^']+)'", r"full_key: (\S+)", r"Key '([^']+)'"):
        match = re.search(pattern, text) or re.search(pattern, cause)
        if match and ("not in" in text + cause or "Could not override" in text):
            key = match.group(1)
            valid = _with_parents(known)
            if key not in valid:
                return f"unknown key {key!r}{nearest(key, valid, 0.6)} ({_source(key, overrides)})"
    detail = _first_line(error.__cause__ or error)
    key_line = re.search(r"full_key: (\S+)", text + "\n" + cause)
    return f"{key_line.group(1)}: {detail}" if key_line else detail


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if prefix == "":
        node = OmegaConf.to_container(node, resolve=False)
    for key, value in node.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _leaves(value, path + ".")
        else:
            yield path, value


def _with_parents(keys: Iterable[str]) -> set[str]:
    """The keys and every node they stand in."""
    parts = [key.split(".") for key in keys]
    return {".".join(key[:end]) for key in parts for end in range(1, len(key) + 1)}


def _is_open(key: str) -> bool:
    return any(key == node or key.startswith(node + ".") for node in OPEN_NODES)


def _source(key: str, overrides: Sequence[str]) -> str:
    for override in overrides:
        name = override.split("=", 1)[0].lstrip("+~")
        if key == name or key.startswith(name + ".") or name.startswith(key + "."):
            return "on the command line"
    return "in the recipe"


def _key(override: Override) -> str:
    return str(override.input_line).split("=", 1)[0]


def finalise(config: DictConfig, *, recipe: str, run_dir: str) -> None:
    """Fill in what depends on the invocation: run name and directory."""
    with open_dict(config):
        config.mint.run.name = config.mint.run.name or recipe
        config.mint.run.dir = str(Path(config.mint.run.dir or run_dir).resolve())
