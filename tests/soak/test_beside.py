"""Others on the machine: a foreign Ray, a cluster that is taken, a run of the same second."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import SMALL, Live, wait_for

from mint.rundir.directory import RunDir


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a Ray that somebody else has started here, and that RAY_ADDRESS points at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "start", "--head", f"--port={port}", "--num-cpus=16", "--num-gpus=1"]
    command += ["--include-dashboard=false", "--object-store-memory=200000000", "--block"]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    # Where this user has a token, `ray start` demands it of everyone, and `ray.init` has none.
    environment["RAY_AUTH_MODE"] = "disabled"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with (tmp_path / "foreign.log").open("wb") as log:
        head = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    address = f"127.0.0.1:{port}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    try:
        wait_for(lambda: ask(address, "print('up')") == "up", 120, "the foreign Ray")
        yield address
        assert head.poll() is None, "the run has ended somebody else's Ray"
    finally:
        head.terminate()
        head.wait(timeout=30)


def ask(address: str, code: str) -> str:
    """What code prints that is connected to the cluster."""
    connect = f"import ray; ray.init({address!r}, log_to_driver=False, logging_level='ERROR'); "
    done = subprocess.run(
        [sys.executable, "-c", connect + code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def test_a_foreign_ray_is_left_alone(workplace: Path, tmp_path: Path, foreign: str) -> None:
    with Live(workplace, tmp_path / "run", steps=1) as live:
        live.wait_steps(1)
        assert live.end(limit_s=300) == 0
    jobs = "from ray._private.state import jobs; print(len(jobs()))"
    assert ask(foreign, jobs) == "2", "the probe at its start and this one"


def test_a_cluster_that_is_taken_is_refused(workplace: Path, tmp_path: Path, foreign: str) -> None:
    code = (
        f"import ray, time; ray.init({foreign!r})\n"
        "@ray.remote(num_cpus=0)\nclass Queue: pass\n"
        "q = Queue.options(name='TransferQueueController', namespace='transfer_queue').remote()\n"
        "ray.get(q.__ray_ready__.remote()); print('there', flush=True); time.sleep(9e9)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    try:
        assert "there" in iter(other.stdout.readline, "").__next__()
        address = f"ray_kwargs.ray_init.address={foreign}"
        with Live(workplace, tmp_path / "run", address) as live:
            live.wait_phase("ray")
            assert live.end() == 2
    finally:
        other.kill()
    assert "error: another run of verl or mint uses this Ray cluster" in live.text
    assert not live.run.metrics_path.exists()


def test_two_runs_start_in_the_same_second(workplace: Path) -> None:
    """Each trains its own policy: neither has the other's replies, nor the other's weights."""
    outputs = workplace / "outputs" / "mint_tiny"
    before = set(outputs.glob("*"))
    command = [sys.executable, "-m", "mint.train", "+recipe=mint_tiny", *SMALL]
    command += ["trainer.total_training_steps=6", "trainer.save_freq=100"]
    both = [
        subprocess.Popen(
            [*command, f"mint.run.seed={seed}", f"actor_rollout_ref.actor.optim.lr={rate}"],
            cwd=workplace,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for seed, rate in enumerate((4e-4, 4e-3))
    ]
    said = [process.communicate(timeout=1800)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    made = set(outputs.glob("*")) - before
    assert len(made) == 2
    for path in made:
        rows = RunDir(path).read_metrics()
        assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert all(row["group/num"] == 4 for row in rows), "nobody else's replies"
        agreed = [row["policy/log_prob_pearson"] for row in rows]
        assert min(agreed) > 0.999, f"somebody else's weights: {agreed}"
