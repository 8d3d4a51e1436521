"""What ray.init would refuse only after a minute of imports. Reads Ray's source; imports no Ray."""

from __future__ import annotations

import ast
import importlib.util
import os
from pathlib import Path

from omegaconf import DictConfig

from mint.rundir.manifest import package_version
from mint.shell.cli import nearest
from mint.verl.cluster import is_local
from rewards.errors import ConfigError

_LONGEST_TEMP_DIR = 43
"""Ray makes sockets below it, 64 characters deeper; the system takes 107 at most."""


def check_ray_arguments(config: DictConfig) -> None:
    """Raise ConfigError for a key under ray_kwargs.ray_init that ray.init has not, or a folder for
    temporary files whose name is too long for sockets."""
    known = _arguments()
    for key in config.ray_kwargs.ray_init:
        if known and key not in known:
            raise ConfigError(
                f"unknown key 'ray_kwargs.ray_init.{key}'{nearest(str(key), known)} (ray.init of "
                f"Ray {package_version('ray')} has no such argument)"
            )
    folder = str(config.ray_kwargs.ray_init._temp_dir or "")
    if len(folder) > _LONGEST_TEMP_DIR:
        raise ConfigError(
            f"ray_kwargs.ray_init._temp_dir={folder} has {len(folder)} characters; Ray's sockets "
            f"lie deep below it, so it may have {_LONGEST_TEMP_DIR} at most"
        )


def ignored_address(config: DictConfig) -> str:
    """A note for who expects the cluster of RAY_ADDRESS to be used; "" when nothing is ignored."""
    if "RAY_ADDRESS" not in os.environ or not is_local(config):
        return ""
    return (
        "RAY_ADDRESS is set and not used: this run starts a Ray of its own; "
        "ray_kwargs.ray_init.address=auto would use that cluster"
    )


def _arguments() -> set[str]:
    """Names that ray.init takes; empty when Ray's source is not found."""
    spec = importlib.util.find_spec("ray")
    if spec is None or not spec.submodule_search_locations:
        return set()
    source = Path(spec.submodule_search_locations[0]) / "_private" / "worker.py"
    if not source.is_file():
        return set()
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "init":
            names = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
            return names | _popped(node)
    return set()


def _popped(function: ast.FunctionDef) -> set[str]:
    """Names taken out of **kwargs."""
    return {
        str(call.args[0].value)
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "pop"
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
