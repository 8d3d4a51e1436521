"""The configuration of a run that goes on: its own, with what may change of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, open_dict

from mint.config.changes import apply, refused, wanted
from mint.config.continuing import SHORT, Resume, key_of
from mint.rundir.directory import RunDir
from mint.rundir.manifest import attempts_of, read_manifest
from mint.shell.files import sha256_file
from rewards.errors import ConfigError

PROGRAM = ("python", "-m", "mint.train")
"""How a recorded command begins."""


class GoingOn(NamedTuple):
    """A run that goes on."""

    overrides: list[str]
    """The command line."""
    config: DictConfig
    changes: dict[str, tuple[Any, Any]]
    """Key -> (then, now) of what it does differently from now on."""


def resumed_run(request: Resume) -> GoingOn:
    """The run of a request, with its own configuration.

    One that was killed before its manifest was written has nothing to go on from: it begins, with
    the settings it was started with and those typed now. Raises ConfigError when there is no such
    run, or a setting differs from the run's that is part of what it trains.
    """
    run = RunDir.open(request.run.resolve())
    then = run.read_config()
    first = _first_overrides(read_manifest(run)) if run.is_begun else []
    _check_recipe(first, request.overrides)
    asked = wanted(first, request.overrides, str(then.mint.run.name), str(run.path))
    config, changes = apply(then, asked)
    differing = refused(changes, asked.judged)
    if differing and run.is_begun and not request.allow_changes:
        raise ConfigError(
            f"the run in {run.path} was started with other settings (then -> now): "
            f"{'; '.join(differing)}; leave them out, or add mint.run.allow_changes=true to go on "
            "with another objective in the same run"
        )
    with open_dict(config):
        config.mint.run.dir = str(run.path)
        config.mint.run.resume = run.is_begun
        config.mint.run.allow_changes = request.allow_changes
        config.trainer.default_local_dir = str(run.checkpoints_path)
    return GoingOn(request.typed, config, changes if run.is_begun else {})


def changed_data(manifest: Mapping[str, Any], files: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Data file -> (SHA-256 then, now) of each whose content is not what the run began with.

    A file that was moved is known by its name.
    """
    then = {Path(path).name: digest for path, digest in manifest["data"].items()}
    then |= manifest["data"]
    now = {path: sha256_file(Path(path)) for path in files}
    known = {path: then.get(path, then.get(Path(path).name, "none")) for path in files}
    return {path: (known[path], now[path]) for path in files if known[path] != now[path]}


def _first_overrides(manifest: Mapping[str, Any]) -> list[str]:
    words = shlex.split(attempts_of(manifest)[0]["command"])
    typed = words[len(PROGRAM) :] if words[: len(PROGRAM)] == list(PROGRAM) else []
    return [o for o in typed if key_of(o) != SHORT]


def _check_recipe(first: Sequence[str], typed: Sequence[str]) -> None:
    then, now = (
        next((o.removeprefix("+recipe=") for o in side if o.startswith("+recipe=")), None)
        for side in (first, typed)
    )
    if then is not None and now is not None and then != now:
        raise ConfigError(
            f"the run was started with another recipe: +recipe={then} -> +recipe={now}; a run that "
            "goes on needs no +recipe"
        )
