"""From a command line to a checked configuration, without starting anything.

Every error is a ConfigError of one line that names the key, the value and the nearest valid key.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from mint.config.verl_keys import (
    DEAD_KEYS,
    FIXED_KEYS,
    FOLLOWING_KEYS,
    OPEN_NODES,
    UNLISTED_KEYS,
)
from mint.shell.cli import expanded, nearest
from rewards.errors import ConfigError

CONFIG_MODULE = "mint.config"
CONFIG_NAME = "train"


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
        known = _known_keys()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_first_line(error)) from error
    configs = []
    for overrides in jobs:
        try:
            config = _compose(overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error, overrides, known)) from error
        check_keys(config, known, overrides)
        configs.append(config)
    return configs


@cache
def _known_keys() -> dict[str, Any]:
    """Every key with its value before a recipe or override changes it."""
    return dict(_leaves(_compose([])))


def expand_sweep(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Every combination of a multirun's overrides; a single job when nothing is swept."""
    parsed = parse_overrides(overrides)
    choices = [
        [f"{_key(o)}={value}" for value in swept_values(o)]
        if o.is_sweep_override()
        else [str(o.input_line)]
        for o in parsed
    ]
    for combination in itertools.product(*choices):
        yield list(combination)


def swept_values(override: Override) -> list[str]:
    """The values that a swept key takes. Raises ConfigError for an interval, which has no list."""
    if override.is_interval_sweep():
        raise ConfigError(
            f"{override.input_line}: an interval has no list of values; list them, or let "
            "`mint sweep --search N` try N of it"
        )
    return [str(value) for value in override.sweep_string_iterator()]


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Hydra's view of the command line. ConfigError for what is not key=value."""
    parser = OverridesParser.create()
    parsed = []
    for override in overrides:
        key, equals, value = override.partition("=")
        try:
            parsed += parser.parse_overrides([f"{key}{equals}{expanded(value)}"])
        except HydraException as error:
            remedy = f"; quote the value: '{key}=\"{value}\"'" if value and key else ""
            raise ConfigError(
                f"{override!r} is not key=value: {_first_line(error)}{remedy}"
            ) from error
    return parsed


def check_keys(config: DictConfig, known: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse keys that nothing reads, that verl accepts but ignores, and changes of fixed ones.

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
    for key in given:
        problem = _wrong_type(known.get(key), config, key)
        if problem:
            raise ConfigError(f"{key} must be {problem} ({_source(key, overrides)})")
    for key, instead in FOLLOWING_KEYS.items():
        if given.get(key) != known[key]:
            raise ConfigError(f"{key} follows {instead}; set that ({_source(key, overrides)})")
    for key, value in given.items():
        for dead, instead in DEAD_KEYS.items():
            if (key == dead or key.startswith(dead + ".")) and value != known.get(key):
                raise ConfigError(
                    f"{key} has no effect in verl 0.9.1; use {instead} ({_source(key, overrides)})"
                )
        if key in FIXED_KEYS and value != known.get(key):
            raise ConfigError(
                f"{key} must stay {known.get(key)}: {FIXED_KEYS[key]} ({_source(key, overrides)})"
            )


def unknown_keys(given: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those that are not known and stand in no node of another library's."""
    valid = _with_parents(known)
    return [key for key in given if key not in valid and not _is_open(key)]


def missing(default: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The default keys that are not given, neither they themselves nor a node around them."""
    there = _with_parents(given)
    return {
        key: value
        for key, value in default.items()
        if key not in there and not any(node in given for node in _with_parents([key]))
    }


def leaves(values: Any) -> dict[str, Any]:
    """Dotted key -> value of a plain nested mapping; a list and an empty mapping are values."""
    return dict(_walk(values, ""))


def _wrong_type(default: Any, config: DictConfig, key: str) -> str:
    """What a value of verl must be and is not, with the value; "" when it may be. The default tells
    numbers and switches apart from the rest; mint's own keys have types."""
    if not isinstance(default, bool | int | float) or key.startswith("mint."):
        return ""
    value = OmegaConf.select(config, key)
    if value is None:
        return ""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else f"true or false, got {value!r}"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "" if number and math.isfinite(value) else f"a number, got {value!r}"


def _in_order(overrides: Sequence[str]) -> list[str]:
    """The recipe first: Hydra lets later files win, and layers go on top of the recipe."""
    return sorted(overrides, key=lambda override: not override.startswith("+recipe="))


def _compose(overrides: Sequence[str]) -> DictConfig:
    with initialize_config_module(CONFIG_MODULE, version_base=None):
        return compose(CONFIG_NAME, overrides=[searchpath_override(), *_in_order(overrides)])


def explain(error: Exception, overrides: Sequence[str], known: Iterable[str]) -> str:
    """One line for what Hydra refuses; `known` has the keys that there are."""
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
    if detail.endswith(":"):  # Hydra's heading; what is wrong stands in the next line
        place = re.match(r"In '(?:recipe/)?([^']+)'", detail)
        detail = (text.splitlines()[1:2] or [detail])[0]
        detail += f" (in the recipe {place[1]})" if place else ""
    key_line = re.search(r"full_key: (\S+)", text + "\n" + cause)
    return f"{key_line.group(1)}: {detail}" if key_line else detail


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _leaves(node: DictConfig) -> Iterator[tuple[str, Any]]:
    return _walk(OmegaConf.to_container(node, resolve=False), "")


def _walk(values: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _walk(value, path + ".")
        else:
            yield path, value


def _with_parents(keys: Iterable[str]) -> set[str]:
    """The keys and every node they stand in."""
    parts = [key.split(".") for key in keys]
    return {".".join(key[:end]) for key in parts for end in range(1, len(key) + 1)}


def _is_open(key: str) -> bool:
    return key in UNLISTED_KEYS or any(
        key == node or key.startswith(node + ".") for node in OPEN_NODES
    )


def _source(key: str, overrides: Sequence[str]) -> str:
    for override in overrides:
        name = override.split("=", 1)[0].lstrip("+~")
        if key == name or key.startswith(name + ".") or name.startswith(key + "."):
            return "on the command line"
    return "in the recipe"


def _key(override: Override) -> str:
    return str(override.input_line).split("=", 1)[0]


def finalise(config: DictConfig, *, recipe: str, run_dir: str) -> None:
    """Fill in what depends on the invocation: run name and directory. Raises ConfigError."""
    address = str(config.ray_kwargs.ray_init.address)
    if "://" in address:
        raise ConfigError(
            f"ray_kwargs.ray_init.address={address} is a client's address, but a run writes files "
            "on a machine of the cluster: start it there (`ray job submit`) with address=auto"
        )
    with open_dict(config):
        config.mint.run.name = config.mint.run.name or recipe
        config.mint.run.dir = str(Path(config.mint.run.dir or run_dir).resolve())
