"""Shared fixtures and the only place that decides what may be skipped."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# Threads of torch that wait would otherwise spin, on cores that background runs can use.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Started by nohup, all processes of the tests would ignore a closed terminal, as they should then.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parents[1]
SLOW_FILE = "\npytestmark = pytest.mark.slow\n"
IN_CI = os.environ.get("CI") == "true"


def missing(what: str) -> None:
    """Skip on a laptop; fail in CI, where nothing may be missing."""
    if IN_CI:
        pytest.fail(f"{what} (required when CI=true)")
    pytest.skip(what)


def find_upstream() -> Path | None:
    """Folder of the official repository's real data: in, beside or above this checkout."""
    places = (folder / "shared" / "upstream" / "mint-empathy" for folder in (ROOT, *ROOT.parents))
    return next((place for place in places if place.is_dir()), None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out what is marked slow")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file that is slow as a whole is not even imported: that alone would load torch."""
    if not config.getoption("--quick") or collection_path.suffix != ".py":
        return None
    return True if SLOW_FILE in collection_path.read_text(encoding="utf-8") else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slow tests of the other files."""
    if config.getoption("--quick"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def pytest_report_header() -> str:
    found = find_upstream()
    if found is None:
        return "real data: none (shared/upstream/mint-empathy); the tests that need it cannot run"
    return f"real data: {found}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing may be skipped, whoever skips it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter is not None and "skipped" in reporter.stats and not session.exitstatus:
        reporter.write_line("\nerror: tests were skipped, which CI=true does not allow")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def upstream() -> Path:
    """A checkout of the official MINT repository, or the part of it that is shared."""
    path = find_upstream()
    if path is None:
        missing(f"shared/upstream/mint-empathy, real data, is not in, beside or above {ROOT}")
    return path


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(autouse=True, scope="module")
def give_memory_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each file: runs that later tests start ask how much memory the machine has left."""
    yield
    if request.config.getoption("--quick"):
        return
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
