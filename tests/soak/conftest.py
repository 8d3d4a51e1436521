"""Faults in real runs: `make soak`, or one part of it with ARGS="-k signals". Not part of `pytest`
without arguments, nor of CI: all of it takes an hour or two on two cores."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).resolve().parent
NEEDED_GIB = 8
_TWICE = ("two_runs", "two_ranks", "two_nodes")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=20, help="how many times a run is killed")
    parser.addoption("--seed", type=int, default=0, help="of the moments at which it is killed")
    parser.addoption("--workplace", help="folder to keep the tiny policy in, for the next time")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks all tests here; leaves them out unless this folder was named."""
    mine = [item for item in items if HERE in item.path.parents]
    for item in mine:
        item.add_marker(pytest.mark.soak)
        item.add_marker(pytest.mark.timeout(7200))
    if not any("soak" in str(argument) for argument in config.args):
        items[:] = [item for item in items if item not in mine]
        config.hook.pytest_deselected(items=mine)


@pytest.fixture(scope="session")
def workplace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a briefly warm-started tiny policy and generated data."""
    from mint.data.synthetic import build_demo_data
    from mint.policy.tiny import TinySettings, build_tiny

    kept = request.config.getoption("--workplace")
    folder = Path(kept).resolve() if kept else tmp_path_factory.mktemp("soak")
    if not (folder / "outputs/tiny-policy/config.json").exists():
        build_demo_data(folder / "outputs/tiny-data", 60, 0)
        build_tiny(
            folder / "outputs/tiny-policy", TinySettings(reply_tokens=60_000, turn_tokens=40_000)
        )
    return folder


@pytest.fixture(autouse=True)
def room(request: pytest.FixtureRequest) -> None:
    """Every run needs memory; a test with two of them, or two ranks, more."""
    wanted = NEEDED_GIB * (1.75 if any(name in request.node.name for name in _TWICE) else 1)
    free = psutil.virtual_memory().available / 1024**3
    if free < wanted:
        pytest.skip(f"needs {wanted:.0f} GiB of free memory, there are {free:.0f}")
