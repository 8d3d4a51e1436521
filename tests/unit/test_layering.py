"""Imports go one way: recipes -> mint -> rewards; verl and ray only in mint/verl."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TRAINING = {"verl", "ray", "vllm", "transfer_queue", "tensordict"}
CONFIGURATION = {"hydra", "omegaconf"}


ROOMS = (
    "shell",
    "machine",
    "pages",
    "config",
    "web",
    "rundir",
    "data",
    "dialogue",
    "policy",
    "planning",
    "safety",
    "evaluation",
    "library",
    "serving",
    "filters",
    "reproduction",
    "validation",
    "reporting",
    "tuning",
    "supervised",
    "preference",
    "chatting",
    "publishing",
    "verl",
    "training",
    "sweeping",
    "watching",
    "launching",
    "bench",
)
"""The rooms of `mint/`, lowest first: a room imports only from those before it."""


def imported(path: Path, root: Path) -> set[str]:
    """Full names of all that a file below `root` imports: a.b and a.b.c for `from a.b import c`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            here = path.relative_to(root).parts[: -node.level] if node.level else ()
            module = ".".join([*here, *filter(None, [node.module])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def packages(names: set[str]) -> set[str]:
    """Top-level packages of imported names."""
    return {name.split(".")[0] for name in names}


def parts_of_mint(names: set[str]) -> set[str]:
    """Rooms and commands of `mint/` among imported names."""
    return {name.split(".")[1] for name in names if name.startswith("mint.")} - {"__version__"}


def files(root: Path, package: str) -> list[Path]:
    found = sorted((root / package).rglob("*.py"))
    assert found, f"no files in {package}"
    return found


def test_rewards_knows_no_framework(root: Path) -> None:
    for path in files(root, "rewards"):
        forbidden = packages(imported(path, root)) & (TRAINING | CONFIGURATION | {"mint"})
        assert not forbidden, f"{path} imports {forbidden}"


@pytest.mark.slow
def test_only_the_seam_knows_verl(root: Path) -> None:
    for path in files(root, "mint"):
        if (root / "mint" / "verl") in path.parents or (root / "mint" / "bench") in path.parents:
            continue
        forbidden = packages(imported(path, root)) & {"verl", "ray", "transfer_queue", "tensordict"}
        assert not forbidden, f"{path} imports {forbidden}"


def test_every_room_has_its_place(root: Path) -> None:
    folders = {path.parent.name for path in (root / "mint").glob("*/__init__.py")}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_from_lower_ones(root: Path, room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    for path in files(root, f"mint/{room}"):
        forbidden = parts_of_mint(imported(path, root)) - allowed
        assert not forbidden, f"{path} imports mint.{forbidden}, which stands above mint.{room}"


@pytest.mark.slow
def test_commands_are_imported_by_nothing(root: Path) -> None:
    commands = {path.stem for path in (root / "mint").glob("*.py")} - {"__init__"}
    assert "train" in commands
    for path in [*files(root, "mint"), *files(root, "rewards")]:
        taken = parts_of_mint(imported(path, root)) & commands
        assert not taken, f"{path} imports the command mint.{taken}"


def test_an_import_against_the_order_is_seen(tmp_path: Path) -> None:
    sample = tmp_path / "mint" / "data" / "sample.py"
    sample.parent.mkdir(parents=True)
    sample.write_text(
        "import os\nfrom verl.trainer import x\nimport ray.util\nfrom mint import train\n"
        "import mint.verl.wire\nfrom mint.data.cases import x\nfrom ..pages import svg\n"
        "from . import cases\n"
    )
    found = imported(sample, tmp_path)
    assert packages(found) == {"os", "verl", "ray", "mint"}
    assert parts_of_mint(found) == {"train", "verl", "data", "pages"}


@pytest.mark.parametrize("word", ["os.environ[", "os.getenv", "environ.get"])
def test_no_environment_variable_is_configuration(root: Path, word: str) -> None:
    for package in ("mint", "rewards"):
        for path in files(root, package):
            if path == root / "mint" / "verl" / "cpu.py":
                continue  # verl's own switch, set by the launcher for verl
            assert word not in path.read_text(encoding="utf-8"), f"{path} uses {word}"


def test_nothing_loads_pickles(root: Path) -> None:
    for package in ("mint", "rewards"):
        for path in files(root, package):
            text = path.read_text(encoding="utf-8")
            assert "pickle.load" not in text, path
            assert "allow_pickle=True" not in text, path
            assert "trust_remote_code=True" not in text, path
