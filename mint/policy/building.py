"""The small policies that commands build for themselves when they are not there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mint.shell.console import say
from mint.shell.guard import run_guarded
from mint.shell.processes import TrainingError, python_module


class _Kind(NamedTuple):
    """A policy that can be built."""

    words: str
    minutes: str
    command: tuple[str, ...]
    """Module and part that build it."""


KINDS = {
    "tiny": _Kind("the tiny policy", "about two minutes", ("mint.tiny",)),
    "smol": _Kind("SmolLM2-135M-Instruct", "about four minutes", ("mint.policy", "smol")),
}


def is_missing(kind: str, path: Path) -> bool:
    """Whether a policy of this kind is to be built at `path`."""
    return kind in KINDS and not (path / "config.json").is_file()


def build(kind: str, path: str, seed: int) -> None:
    """Build a policy in a process of its own. Raises TrainingError."""
    words, minutes, command = KINDS[kind]
    say(f"building {words} in {path} ({minutes} on two cores)")
    in_own_process(*command, f"output={path}", f"seed={seed}")


def in_own_process(module: str, *arguments: str) -> None:
    """Run a stage whose memory must be gone before the next one; it ends with this process.
    Raises TrainingError."""
    status = run_guarded(python_module(module, *arguments))
    if status:
        raise TrainingError(f"the stage `python -m {module} {' '.join(arguments)}` failed")
