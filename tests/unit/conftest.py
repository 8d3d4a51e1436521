"""Fixtures of the unit tests alone."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def loopback() -> ModuleType:
    """tests/loopback.py."""
    name = "mint_tests_loopback"
    path = Path(__file__).resolve().parents[1] / "loopback.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def serve(loopback: ModuleType) -> Iterator[Callable]:
    """Starts servers that answer with a function of the request; stops them after the test."""
    started = []

    def start(handler: Callable) -> object:
        server = loopback.Loopback(handler)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
