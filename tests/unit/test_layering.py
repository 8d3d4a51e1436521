"""Imports go one way: recipes -> mint -> rewards; verl and ray only in mint/verl."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TRAINING = {"verl", "ray", "vllm", "transfer_queue", "tensordict"}
CONFIGURATION = {"hydra", "omegaconf"}


ROOMS = (
    "shell",
    "pages",
    "config",
    "rundir",
    "data",
    "policy",
    "safety",
    "evaluation",
    "serving",
    "filters",
    "reproduction",
    "validation",
    "reporting",
    "verl",
    "training",
    "bench",
)
"""The rooms of `mint/`, lowest first: a room imports only from those before it."""


def imported(path: Path) -> set[str]:
    """Top-level names of every absolute import of a file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def rooms_imported(path: Path) -> set[str]:
    """Rooms of `mint/`, or commands, that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {module.split(".")[1] for module in modules if module.startswith("mint.")}
    return found - {"__version__"}


def files(root: Path, package: str) -> list[Path]:
    found = sorted((root / package).rglob("*.py"))
    assert found, f"no files in {package}"
    return found


def test_rewards_knows_no_framework(root: Path) -> None:
    for path in files(root, "rewards"):
        forbidden = imported(path) & (TRAINING | CONFIGURATION | {"mint"})
        assert not forbidden, f"{path} imports {forbidden}"


def test_only_the_seam_knows_verl(root: Path) -> None:
    for path in files(root, "mint"):
        if (root / "mint" / "verl") in path.parents or (root / "mint" / "bench") in path.parents:
            continue
        forbidden = imported(path) & {"verl", "ray", "transfer_queue", "tensordict"}
        assert not forbidden, f"{path} imports {forbidden}"


def test_every_room_has_its_place(root: Path) -> None:
    folders = {path.parent.name for path in (root / "mint").glob("*/__init__.py")}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_from_lower_ones(root: Path, room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    for path in files(root, f"mint/{room}"):
        forbidden = rooms_imported(path) - allowed
        assert not forbidden, f"{path} imports mint.{forbidden}, which stands above mint.{room}"


def test_an_import_against_the_order_is_seen(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text(
        "from mint import train\nimport mint.verl.wire\nfrom mint.data.cases import x\n"
    )
    assert rooms_imported(sample) == {"train", "verl", "data"}


def test_the_check_can_fail(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text("import os\nfrom verl.trainer import x\nimport ray.util\n")
    assert imported(sample) & TRAINING == {"verl", "ray"}


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
