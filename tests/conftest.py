"""Shared fixtures and the only place that decides what may be skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def missing(what: str) -> None:
    """Skip on a laptop; fail in CI, where nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} (required when CI=true)")
    pytest.skip(what)


@pytest.fixture(scope="session")
def upstream() -> Path:
    """A checkout of the official MINT repository, or the part of it beside this one."""
    path = ROOT.parent / "shared" / "upstream" / "mint-empathy"
    if not path.is_dir():
        missing(f"real data of the official repository is not at {path}")
    return path


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT
