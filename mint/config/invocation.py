"""The command line of `mint.train`: options, recipe, and the configuration of every job."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import hydra
from omegaconf import DictConfig

from mint.config import compose, recipes
from mint.config.continuing import SHORT, Resume, asked_resume
from mint.config.from_run import POLICY, with_policy
from mint.config.schema import MintConfig
from mint.shell.cli import nearest
from mint.shell.usage import key_names
from rewards.errors import ConfigError

DRY_RUN = "--dry-run"
_MULTIRUN = ("-m", "--multirun")
_PRINTING = ("-c", "-i", "--version")
"""Hydra answers these itself and leaves."""
_WITH_VALUE = {
    "-c": ("job", "hydra", "all"),
    "-p": (),
    "-i": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
"""Option -> what may follow it; anything when that is empty."""
_LONG = {"--cfg": "-c", "--package": "-p", "--info": "-i"}
_WITHOUT_VALUE = (*_MULTIRUN, DRY_RUN, "--resolve", "--hydra-help", "--version")
_NEEDS_CFG = {"-p": "--package", "--resolve": "--resolve"}
"""Options that only say how --cfg prints."""


class Job(NamedTuple):
    """One run to be made."""

    overrides: list[str]
    config: DictConfig
    named: bool = False
    """Whether the run directory was given."""


class Invocation(NamedTuple):
    """What a command line asks for."""

    jobs: list[Job]
    dry_run: bool
    printing: bool
    """Hydra is to print something instead of anything being run: see `print_with_hydra`."""
    resume: Resume | None = None
    """The run to go on with; there are no jobs then."""


def read(arguments: Sequence[str]) -> Invocation:
    """The jobs of a command line, composed and checked. Raises ConfigError."""
    options, typed = _split(arguments)
    overrides = with_policy(typed)
    found = recipes.find_recipes()
    alone = [a for a in arguments if _short(a) in (*_MULTIRUN, *_PRINTING)]
    resume = asked_resume(overrides, alone)
    if resume is not None:
        recipes.register(found)
        return Invocation([], DRY_RUN in arguments, printing=False, resume=resume)
    recipe = recipes.check_name(recipe_of(overrides), found).name
    recipes.check_hardware(overrides, found)
    recipes.register(found)
    jobs = list(compose.expand_sweep(overrides))
    multirun = bool(set(_MULTIRUN) & set(options))
    if len(jobs) > 1 and not multirun:
        raise ConfigError("a sweep (comma-separated values) needs -m: mint.train -m ...")
    configs = compose.compose_configs(jobs)
    if any(config.mint.run.resume for config in configs):
        raise ConfigError(
            "mint.run.resume belongs on the command line: resume=RUN, the run's folder"
        )
    folder = f"outputs/{recipe}/{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    made = []
    for number, (job, config) in enumerate(zip(jobs, configs, strict=True)):
        named = bool(config.mint.run.dir)
        place = f"{folder}/{number}" if multirun else folder
        compose.finalise(config, recipe=recipe, run_dir=place)
        made.append(Job(job, config, named))
    return Invocation(
        jobs=made,
        dry_run=DRY_RUN in options,
        printing=bool(set(_PRINTING) & set(options)),
    )


@contextmanager
def claimed(job: Job) -> Iterator[None]:
    """`claim` while inside: the folder goes away when the job leaves it empty."""
    claim(job)
    try:
        yield
    finally:
        if not job.named:
            with suppress(OSError):
                Path(job.config.mint.run.dir).rmdir()


def claim(job: Job) -> None:
    """Make the run directory that was not named, for this job alone: another run that starts in the
    same second gets the next free name."""
    if job.named:
        return
    wanted = Path(job.config.mint.run.dir)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}_{number}")
        with suppress(FileExistsError):
            path.mkdir()
            break
    job.config.mint.run.dir = str(path)


def completions() -> list[str]:
    """What can stand on the command line: recipes, options, and the keys of the project's own."""
    found = recipes.find_recipes()
    names = [f"+recipe={recipe.name}" for recipe in found.values() if not recipe.is_layer]
    names += [f"+hardware={r.name}" for r in found.values() if r.group == recipes.HARDWARE]
    keys = [f"mint.{key}=" for key in key_names(MintConfig)]
    return [*names, f"{SHORT}=", f"{POLICY}=", DRY_RUN, "--multirun", "--cfg", *keys]


def print_with_hydra(arguments: Sequence[str]) -> None:
    """Hydra's own printing commands (--cfg, --info, --hydra-help)."""
    options, typed = _split(arguments)
    overrides = with_policy(typed)
    flags = [option for option in options if option != DRY_RUN]
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


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options, in their short form and followed by their values, and overrides.

    Raises ConfigError for an option that Hydra or mint would not act on.
    """
    options: list[str] = []
    overrides = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, has_value, value = argument.partition("=")
        name = _LONG.get(name, name)
        if not argument.startswith("-"):
            overrides.append(argument)
        elif name in _WITH_VALUE:
            allowed = _WITH_VALUE[name]
            if not has_value and rest and (not allowed or rest[0] in allowed):
                value = rest.pop(0)
            _check_value(argument, name, value)
            options += [name, value] if value else [name]
        elif argument in _WITHOUT_VALUE:
            options.append(argument)
        else:
            known = (*_WITHOUT_VALUE, *_WITH_VALUE, *_LONG, "--help")
            raise ConfigError(f"unknown option {argument!r}{nearest(argument, known)}; see --help")
    for name, shown in _NEEDS_CFG.items():
        if name in options and "-c" not in options:
            raise ConfigError(f"{shown} says how --cfg prints: add --cfg job")
    return options, overrides


def _short(argument: str) -> str:
    """An option without its value, in its short form."""
    name = argument.partition("=")[0]
    return _LONG.get(name, name)


def _check_value(argument: str, name: str, value: str) -> None:
    allowed = _WITH_VALUE[name]
    if not value and name != "-i":
        what = ", ".join(allowed) or "the key of a part of the configuration"
        raise ConfigError(f"{argument} needs a value: {what}")
    if value and allowed and value not in allowed:
        raise ConfigError(f"{argument.partition('=')[0]} must be one of {', '.join(allowed)}")


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
    asked = {_short(argument) for argument in arguments}
    return bool({*_MULTIRUN} & asked) and not {*_PRINTING, SHORT} & asked
