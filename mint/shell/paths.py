"""Where the files that ship with mint are: in the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from rewards.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]


def data_dir() -> Path:
    """Folder with `sentences/` and `scenarios/`. Raises ConfigError when there is none."""
    return _shipped("data", holds="sentences")


def recipes_dir() -> Path:
    """Folder with the recipes, *.yaml. Raises ConfigError when there is none."""
    return _shipped("recipes", holds="base.yaml")


def _shipped(name: str, holds: str) -> Path:
    candidates = [_PACKAGE / f"_{name}", _PACKAGE.parent / name]
    for folder in candidates:
        if (folder / holds).exists():
            return folder
    raise ConfigError(
        f"mint's {name} folder was not found at {candidates[0]} or {candidates[1]}; install mint "
        "from a wheel or run it from a checkout"
    )
