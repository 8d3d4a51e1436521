"""The command line of `mint.train`: options, recipe, and the configuration of every job."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import hydra
from omegaconf import DictConfig

from mint.config import compose, recipes
from mint.config.schema import MintConfig
from mint.shell.cli import nearest
from mint.shell.usage import key_names
from rewards.errors import ConfigError

DRY_RUN = "--dry-run"
_MULTIRUN = ("-m", "--multirun")
_PRINTING = ("-c", "--cfg", "-i", "--info", "--version")
"""Hydra answers these itself and leaves."""
_WITH_VALUE = ("-c", "--cfg", "-i", "--info", "-p", "--package")
_WITHOUT_VALUE = (*_MULTIRUN, DRY_RUN, "--resolve", "-r", "--hydra-help", "--version")


class Job(NamedTuple):
    """One run to be made."""

    overrides: list[str]
    config: DictConfig


class Invocation(NamedTuple):
    """What a command line asks for."""

    jobs: list[Job]
    dry_run: bool
    printing: bool
    """Hydra is to print something instead of anything being run: see `print_with_hydra`."""


def read(arguments: Sequence[str]) -> Invocation:
    """The jobs of a command line, composed and checked. Raises ConfigError."""
    overrides = _overrides_of(arguments)
    found = recipes.find_recipes()
    recipe = recipes.check_name(recipe_of(overrides), found).name
    recipes.register(found)
    jobs = list(compose.expand_sweep(overrides))
    multirun = bool(set(_MULTIRUN) & set(arguments))
    if len(jobs) > 1 and not multirun:
        raise ConfigError("a sweep (comma-separated values) needs -m: mint.train -m ...")
    configs = compose.compose_configs(jobs)
    # The digits at the end tell runs apart that are started in the same second.
    folder = f"outputs/{recipe}/{time.strftime('%Y-%m-%d_%H-%M-%S')}_{secrets.token_hex(2)}"
    for number, config in enumerate(configs):
        place = f"{folder}/{number}" if multirun else folder
        compose.finalise(config, recipe=recipe, run_dir=place)
    return Invocation(
        jobs=[Job(job, config) for job, config in zip(jobs, configs, strict=True)],
        dry_run=DRY_RUN in arguments,
        printing=bool(set(_PRINTING) & set(arguments)),
    )


def completions() -> list[str]:
    """What can stand on the command line: recipes, options, and the keys of the project's own."""
    found = recipes.find_recipes()
    names = [f"+recipe={recipe.name}" for recipe in found.values() if not recipe.is_layer]
    return [*names, DRY_RUN, "--multirun", "--cfg", *(f"mint.{k}=" for k in key_names(MintConfig))]


def print_with_hydra(arguments: Sequence[str]) -> None:
    """Hydra's own printing commands (--cfg, --info, --hydra-help)."""
    overrides = _overrides_of(arguments)
    flags = [argument for argument in arguments if argument not in (*overrides, DRY_RUN)]
    # argparse wants the positional overrides in one block.
    sys.argv = [
        sys.argv[0],
        *flags,
        *overrides,
        compose.searchpath_override(),
        "hydra.run.dir=.",
        "hydra.output_subdir=null",
    ]
    hydra.main(
        version_base=None,
        config_path=f"pkg://{compose.CONFIG_MODULE}",
        config_name=compose.CONFIG_NAME,
    )(_nothing)()


def _nothing(config: DictConfig) -> None:
    """Hydra prints and leaves before it calls its task function."""


def _overrides_of(arguments: Sequence[str]) -> list[str]:
    """The arguments that are overrides, without options and their values."""
    overrides = []
    rest = iter(arguments)
    for argument in rest:
        if argument in _WITH_VALUE:
            next(rest, None)
        elif argument.startswith("-") and argument not in _WITHOUT_VALUE:
            known = (*_WITHOUT_VALUE, *_WITH_VALUE, "--help")
            raise ConfigError(f"unknown option {argument!r}{nearest(argument, known)}; see --help")
        elif not argument.startswith("-"):
            overrides.append(argument)
    return overrides


def recipe_of(overrides: Sequence[str]) -> str | None:
    """The recipe that overrides name; None without one. Raises ConfigError for recipe=NAME."""
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "recipe":
            raise ConfigError(f"recipe={value} lacks a plus: write +recipe={value}")
        if key.lstrip("+") == "recipe":
            return value
    return None


def sweeps(arguments: Sequence[str]) -> bool:
    """Whether a command line of `mint.train` is one of a sweep that is to be run."""
    return bool({*_MULTIRUN} & {*arguments}) and not {*_PRINTING} & {*arguments}
