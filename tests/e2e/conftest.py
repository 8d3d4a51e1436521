"""What several real runs share: a tiny policy and data, and graders' servers; made once."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from rewards.tactics import TACTIC_NAMES

START_LIMIT_S = 400
# Random weights would fill an answer with the white space that JSON allows everywhere.
COMPACT_JSON = (
    "vllm_args=[--structured-outputs-config.backend=xgrammar,"
    "--structured-outputs-config.disable_any_whitespace=true]"
)


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with a briefly warm-started tiny policy and generated data."""
    from mint.data.synthetic import build_demo_data
    from mint.policy.tiny import TinySettings, build_tiny

    folder = tmp_path_factory.mktemp("work")
    build_demo_data(folder / "outputs/tiny-data", 60, 0)
    build_tiny(
        folder / "outputs/tiny-policy", TinySettings(reply_tokens=60_000, turn_tokens=40_000)
    )
    return folder


class Serving:
    """One `python -m mint.serve` with what it says about its server."""

    def __init__(self, folder: Path, part: str, *settings: str) -> None:
        self.part = part
        self.ready_file = folder / f"{part}.json"
        self.output = folder / f"{part}.out"
        common = ("port=0", "kv_cache_gib=0.25", "dtype=float32", "threads=1", "backoff_s=0.5")
        command = [sys.executable, "-u", "-m", "mint.serve", part, *common, *settings]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, f"ready_file={self.ready_file}"],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self, other_than: int = 0) -> dict[str, Any]:
        """Facts of the healthy server; `other_than`: process id of the one before a restart."""
        end = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end:
            assert self.process.poll() is None, self.output.read_text()
            with contextlib.suppress(FileNotFoundError):
                facts: dict[str, Any] = json.loads(self.ready_file.read_text())
                if facts["pid"] != other_than:
                    return facts
            time.sleep(0.2)
        raise AssertionError(f"{self.part} is not ready: {self.output.read_text()}")

    @property
    def facts(self) -> dict[str, Any]:
        return self.wait_ready()

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    def family(self) -> list[psutil.Process]:
        """The command, its server and all of their processes."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the tiny models, adapters and the adapters' input format."""
    build = _serving_models()
    folder = tmp_path_factory.mktemp("models")
    build.build_tagger_base(folder / "tagger-base")
    build.build_adapters(folder / "adapters", list(TACTIC_NAMES))
    build.write_annotations(folder / "annotations")
    build.build_judge(folder / "tiny-judge")
    build.build_reward_model(folder / "tiny-reward")
    (folder / "token").write_text("s3cret-of-the-test\n")
    return folder


@pytest.fixture(scope="session")
def servers(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Serving]]:
    """The three servers, started at the same time; what still runs ends with the tests."""
    folder = tmp_path_factory.mktemp("serve")
    running = {
        "tagger": Serving(
            folder,
            "tagger",
            f"model={models / 'tagger-base'}",
            f"adapters={models / 'adapters'}",
            "max_lora_rank=8",
        ),
        "judge": Serving(folder, "judge", f"model={models / 'tiny-judge'}", COMPACT_JSON),
        "reward_model": Serving(
            folder,
            "reward_model",
            f"model={models / 'tiny-reward'}",
            f"token_file={models / 'token'}",
        ),
    }
    try:
        for server in running.values():
            server.wait_ready()
        yield running
    finally:
        for server in running.values():
            if server.process.poll() is None:
                server.stop()


def _serving_models() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "serving_models.py"
    spec = importlib.util.spec_from_file_location("serving_models", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
