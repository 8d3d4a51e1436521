"""`python -m mint.serve` running: ready, signals, restarts, and nothing left behind.

A fake package `vllm` on PYTHONPATH takes the real one's place; everything else is the real command.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mint.serving.server import ServerProcess

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


class Command:
    """`python -m mint.serve ...` with the fake vLLM, running."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "mint.serve", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "fake_vllm"), str(ROOT)]),
            },
        )

    def wait_for(self, count: int = 1) -> list[dict[str, Any]]:
        """What the fake servers noted down, once `count` of them have started and one is ready."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            dump = self.folder / "dump.jsonl"
            lines = dump.read_text().splitlines() if dump.exists() else []
            if len(lines) >= count and (self.folder / "ready.json").exists():
                return [json.loads(line) for line in lines]
            assert self.process.poll() is None, self.end()[1]
            time.sleep(0.05)
        raise AssertionError(f"not ready in 20 s: {self.kill()}")

    def ready(self) -> dict[str, Any]:
        return json.loads((self.folder / "ready.json").read_text())

    def end(self, number: int | None = None, timeout: float = 30) -> tuple[int, str]:
        """Exit status and output, after sending a signal."""
        if number is not None:
            self.process.send_signal(number)
        try:
            output, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end: {self.kill()}") from None
        return self.process.returncode, output

    def kill(self) -> str:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        return self.process.communicate()[0]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts judges; ends whatever a test left running."""
    running: list[Command] = []
    model = tmp_path / "tiny-llama"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    (model / "chat_template.jinja").write_text("{{ messages }}")

    def go(*vllm_args: str, **settings: object) -> Command:
        given = {"port": 0, "backoff_s": 0.1, **settings}
        extra = ",".join((f"--dump={tmp_path / 'dump.jsonl'}", *vllm_args))
        running.append(
            Command(
                tmp_path,
                "judge",
                f"model={model}",
                "ready_file=ready.json",
                f"vllm_args=[{extra}]",
                *(f"{key}={value}" for key, value in given.items()),
            )
        )
        return running[-1]

    yield go
    for command in running:
        command.kill()
    dump = tmp_path / "dump.jsonl"
    for facts in map(json.loads, dump.read_text().splitlines() if dump.exists() else ()):
        for pid in facts["pids"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(facts["env"]["TMPDIR"], ignore_errors=True)


def alive(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def test_it_says_where_the_server_is_and_stops_all_of_it(start: Any, tmp_path: Path) -> None:
    command = start("--orphan")
    started = command.wait_for()
    facts = command.ready()
    assert facts["pid"] == started[0]["pids"][0]
    assert facts["names"] == ["tiny-llama"]
    assert facts["overrides"][1] == f"mint.judge.served.urls=[{facts['url']}]"
    assert alive(started[0]["pids"]) == started[0]["pids"]
    scratch = Path(started[0]["env"]["TMPDIR"])
    assert scratch.is_dir()
    status, output = command.end(signal.SIGTERM)
    assert status == 0
    assert "judge is healthy after" in output
    assert f"url      {facts['url']}" in output
    assert f"process  {facts['pid']}, port" in output
    assert "GiB in 3 processes" in output
    assert "mint.judge.served.model=tiny-llama" in output
    assert output.rstrip().endswith("judge: stopped")
    assert alive(started[0]["pids"]) == []
    assert not scratch.exists()
    assert not (tmp_path / "ready.json").exists()
    assert (tmp_path / "outputs/serve/judge.log").is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_other_signals_stop_it_as_well(start: Any, number: int) -> None:
    command = start()
    started = command.wait_for()
    assert command.end(number)[0] == 0
    assert alive(started[0]["pids"]) == []


def test_a_killed_server_is_started_again(start: Any) -> None:
    command = start()
    first = command.wait_for()[0]
    os.kill(first["pids"][0], signal.SIGKILL)
    both = command.wait_for(2)
    assert command.ready()["pid"] == both[1]["pids"][0]
    assert alive(first["pids"]) == [], "the dead server's children are ended, too"
    status, output = command.end(signal.SIGTERM)
    assert status == 0
    assert "judge died: signal 9 ended it" in output
    assert "(2 further restarts left)" in output
    assert output.count("judge is healthy") == 2


def test_restarts_are_bounded(start: Any, tmp_path: Path) -> None:
    status, output = start("--die", restarts=2).end()
    assert status == 1
    assert output.count("judge is healthy") == 3
    assert "error: judge died: it ended with status 7; gave up after 2 restarts" in output
    assert "| CUDA error: an illegal memory access" in output, "the log's last lines"
    dump = (tmp_path / "dump.jsonl").read_text().splitlines()
    assert len(dump) == 3
    assert [pid for line in dump for pid in alive(json.loads(line)["pids"])] == []


def test_a_server_that_cannot_start_is_not_tried_again(start: Any) -> None:
    status, output = start("--fail").end()
    assert status == 1
    assert "error: judge did not start: it ended with status 1" in output
    assert "first error: ValueError: no such quantization: int3" in output
    assert "starting it again" not in output


def test_a_server_that_never_gets_healthy_is_given_up(start: Any, tmp_path: Path) -> None:
    status, output = start("--never-healthy", start_timeout_s=1.5).end()
    assert status == 1
    assert "judge did not start: not healthy after start_timeout_s=1.5 seconds" in output
    assert alive(json.loads((tmp_path / "dump.jsonl").read_text())["pids"]) == []


def test_another_server_behind_the_port_is_noticed(start: Any) -> None:
    status, output = start("--wrong-name").end()
    assert status == 1
    assert "does not serve tiny-llama" in output


def test_a_signal_while_starting_stops_it(start: Any, tmp_path: Path) -> None:
    command = start("--never-healthy")
    dump = tmp_path / "dump.jsonl"
    end = time.monotonic() + 15
    while not dump.exists() and time.monotonic() < end:
        time.sleep(0.05)
    status, output = command.end(signal.SIGTERM)
    assert status == 0
    assert "did not start" not in output
    assert alive(json.loads(dump.read_text())["pids"]) == []


def test_vllm_goes_when_the_command_is_killed_outright(start: Any) -> None:
    command = start()
    server = command.wait_for()[0]["pids"][0]
    command.end(signal.SIGKILL)
    end = time.monotonic() + 10
    while alive([server]) and time.monotonic() < end:
        time.sleep(0.05)
    assert alive([server]) == []


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    body = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        "print(child.pid, flush=True); time.sleep(300)"
    )
    log = tmp_path / "logs" / "server.log"
    server = ServerProcess(
        command=(sys.executable, "-c", body),
        environment=lambda scratch: {"TMPDIR": str(scratch)},
        url="http://127.0.0.1:9",
        log=log,
    )
    server.start()
    while not log.read_text().strip():
        time.sleep(0.02)
    pids = [server.session.pid, int(log.read_text())]
    assert sorted(server.memory().pids) == sorted(pids)
    assert server.memory().gib > 0
    server.stop(grace_s=0.2)
    assert alive(pids) == []
    server.stop()
