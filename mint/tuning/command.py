"""The command line of what is tuned: `+recipe=NAME key=value ...` or `resume=RUN`, by Hydra.

The configuration is a dataclass of the command; recipes are `recipes/tuning/COMMAND_*.yaml`. In
them `${shipped:PATH}` is a file of the data that ships with mint.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mint.config.compose import explain, leaves, parse_overrides
from mint.config.invocation import recipe_of
from mint.config.recipes import Recipe, check_name, find_tuning, listing, store_recipes
from mint.rundir.directory import RunDir
from mint.shell import cli
from mint.shell.cli import make_writable, nearest
from mint.shell.paths import data_dir
from mint.shell.usage import field_docs, key_names, program
from rewards.errors import ConfigError

Settings = TypeVar("Settings")
DRY_RUN, SHOW = "--dry-run", "--cfg"
RESUME = "resume"


class Asked(NamedTuple):
    """What a command line asks for."""

    settings: Any
    """The command's dataclass; `run.dir` is filled in."""
    run: RunDir
    recipe: str
    overrides: list[str]
    """As typed."""
    dry_run: bool
    """Check everything and start nothing."""
    show: bool
    """Print the configuration and do nothing."""
    resumed: bool
    """The run goes on, with its own configuration."""


def main(
    command: str,
    settings: type[Any],
    doc: str,
    argv: Sequence[str] | None,
    work: Callable[[Asked], int],
) -> int:
    """Run a command line; returns the exit status (0 done, 1 training failed, 2 bad input, 75 saved
    and ended as asked by SIGUSR1, 128 + n ended by signal n).

    `work` imports what it needs by itself: torch and transformers take seconds, which a misspelt
    key should not wait for.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return cli.guarded(lambda: _main(command, settings, doc, arguments, work))


def _main(
    command: str,
    settings: type[Any],
    doc: str,
    arguments: Sequence[str],
    work: Callable[[Asked], int],
) -> int:
    if {"-h", "--help"} & set(arguments):
        print(help_text(command, settings, doc))
        return 0
    if cli.PRINT_KEYS in arguments:
        print("\n".join(completions(command, settings)))
        return 0
    asked = read(command, settings, arguments)
    if asked.show:
        print(as_yaml(asked.settings, command), end="")
        return 0
    return work(asked)


def read(command: str, settings: type[Any], arguments: Sequence[str]) -> Asked:
    """The configuration of a command line, composed and checked. Raises ConfigError.

    `settings` is a dataclass with a field `run: TuningRun`.
    """
    options = [a for a in arguments if a.startswith("-")]
    overrides = [a for a in arguments if not a.startswith("-")]
    for option in options:
        if option not in (DRY_RUN, SHOW):
            raise ConfigError(f"unknown option {option!r}{nearest(option, (DRY_RUN, SHOW))}")
    recipes = find_tuning(command)
    resumed = _resumed(command, settings, overrides)
    if resumed is not None:
        made, run, recipe = resumed
    else:
        recipe = check_name(recipe_of(overrides), recipes).name
        made, run = _new(command, settings, recipe, recipes, overrides)
    flags = (DRY_RUN in options, SHOW in options, resumed is not None)
    return Asked(made, run, recipe, overrides, *flags)


def help_text(command: str, settings: type[Any], doc: str) -> str:
    """What --help prints: usage, text, recipes, keys with their meaning."""
    node = leaves(OmegaConf.to_container(OmegaConf.structured(settings), resolve=False))
    lines = [f"usage: {program()} +recipe=NAME|resume=RUN [key=value ...]", "", doc.strip(), ""]
    lines += [listing(find_tuning(command)), "", "Keys:"]
    for key in key_names(settings):
        lines.append(f"  {key} (default {_shown(node, key)})")
        lines.append(f"      {_doc(settings, key)}")
    return "\n".join(lines)


def completions(command: str, settings: type[Any]) -> list[str]:
    """What can stand on the command line."""
    names = [f"+recipe={r.name}" for r in find_tuning(command).values() if not r.is_layer]
    return [*names, f"{RESUME}=", DRY_RUN, SHOW, *(f"{key}=" for key in key_names(settings))]


def as_yaml(settings: Any, command: str) -> str:
    """The configuration as RUN/config.yaml has it: under `mint.COMMAND`."""
    return OmegaConf.to_yaml(OmegaConf.create({"mint": {command: OmegaConf.structured(settings)}}))


def _new(
    command: str,
    settings: type[Settings],
    recipe: str,
    recipes: dict[str, Recipe],
    overrides: Sequence[str],
) -> tuple[Settings, RunDir]:
    if any(override.is_sweep_override() for override in parse_overrides(overrides)):
        raise ConfigError(f"`mint {command}` takes one value a key; several are several runs")
    OmegaConf.register_new_resolver("shipped", lambda name: str(data_dir() / name), replace=True)
    schema = _schema(settings)
    ConfigStore.instance().store(name=f"mint_{command}", node=schema, provider="mint")
    store_recipes(recipes)
    known = leaves(OmegaConf.to_container(schema, resolve=False))
    first = sorted(overrides, key=lambda override: not override.startswith("+recipe="))
    try:
        with initialize(config_path=None, version_base=None):
            config = compose(f"mint_{command}", overrides=first)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, overrides, known)) from error
    made: Any = _as_object(settings, config)
    folder = made.run.dir or f"outputs/{recipe}/{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    run = RunDir(Path(folder).expanduser().resolve())
    return replace(made, run=replace(made.run, dir=str(run.path))), run


def _resumed(
    command: str, settings: type[Settings], overrides: Sequence[str]
) -> tuple[Settings, RunDir, str] | None:
    given = dict(override.partition("=")[::2] for override in overrides)
    if RESUME not in given:
        return None
    others = [override for override in overrides if not override.startswith(f"{RESUME}=")]
    if others:
        raise ConfigError(
            f"{others[0]} cannot be given with {RESUME}=: a run goes on with its own "
            "configuration; for another one start a new run"
        )
    run = RunDir.open(Path(given[RESUME]).expanduser().resolve())
    config = run.read_config().mint
    if command not in config:
        made_by = ", ".join(config) if len(config) == 1 else "train"
        raise ConfigError(f"{run.path} is no run of `mint {command}` but of `mint {made_by}`")
    node = OmegaConf.merge(_schema(settings), config[command])
    made: Any = _as_object(settings, node)
    recipe = "" if not run.is_begun else str(_manifest_recipe(run))
    return replace(made, run=replace(made.run, dir=str(run.path))), run, recipe


def _manifest_recipe(run: RunDir) -> Any:
    from mint.rundir.manifest import read_manifest

    return read_manifest(run)["recipe"]


def _schema(settings: type[Any]) -> DictConfig:
    node = OmegaConf.structured(settings)
    make_writable(node)
    return node


def _as_object(settings: type[Settings], config: Any) -> Settings:
    """The checked dataclass. Raises ConfigError."""
    try:
        plain: Any = OmegaConf.to_container(config, resolve=True)
        node = OmegaConf.merge(_schema(settings), OmegaConf.create(plain))
        return OmegaConf.to_object(node)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error


def _shown(node: dict[str, Any], key: str) -> str:
    value = node[key] if key in node else None
    return "null" if value is None else str(value) or '""'


def _doc(settings: type[Any], key: str) -> str:
    from typing import get_type_hints

    *parents, last = key.split(".")
    owner: Any = settings
    for parent in parents:
        owner = get_type_hints(owner)[parent]
    docs = field_docs(owner)
    return docs[last] if last in docs else ""
