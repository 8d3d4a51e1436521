"""The commands of the project, by stage: what each is for, and how one is run."""

from __future__ import annotations

import ast
import importlib.util
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

STAGES: Mapping[str, Mapping[str, str]] = {
    "Data": {name: f"mint.{name}" for name in ("synthetic", "persons", "prepare", "audit")},
    "Training": {
        name: f"mint.{name}"
        for name in (
            *("doctor", "plan", "tiny", "policy", "convert", "sft", "prefer"),
            *("train", "sweep", "launch", "watch", "report", "publish"),
        )
    },
    "Evaluation": {
        name: f"mint.{name}"
        for name in ("evaluate", "chat", "people", "probe", "rate", "regrade", "reproduce")
    },
    "Graders": {
        **{name: f"mint.{name}" for name in ("tag", "judge", "serve")},
        "fit": "rewards.fit",
        "card": "rewards.card",
    },
    "Measurement": {"bench": "mint.bench"},
}
"""Stage -> command -> the module that `python -m` runs."""

COMMANDS: Mapping[str, str] = {
    name: module for commands in STAGES.values() for name, module in commands.items()
}


def listing() -> str:
    """The commands with a line each, by stage."""
    lines = []
    for stage, commands in STAGES.items():
        lines += [f"{stage}:", *(f"  {name:<11}{summary(m)}" for name, m in commands.items()), ""]
    return "\n".join(lines)


def summary(module: str) -> str:
    """What a command is for: the first paragraph of its docstring, without how it is called."""
    paragraph = " ".join(docstring(module).partition("\n\n")[0].split())
    before, _, after = re.sub(r"`python -m [^`]*`", "\0", paragraph, count=1).partition("\0")
    words = (before.strip() or after).strip(" .,:")
    return words[:1].upper() + words[1:]


def docstring(module: str) -> str:
    """The docstring of a command's module, without importing anything."""
    package, _, name = module.partition(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    base = Path(spec.submodule_search_locations[0]) / name
    path = base / "__main__.py" if base.is_dir() else base.with_suffix(".py")
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def execute(name: str, arguments: Sequence[str]) -> None:
    """Run a command as `python -m` does. Ends with SystemExit wherever the command does."""
    sys.argv[1:] = arguments
    runpy.run_module(COMMANDS[name], run_name="__main__", alter_sys=True)
