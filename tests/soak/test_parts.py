"""One part breaks: a checkpoint, a reward worker, the rollout, a grader's server, the gradient."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live import Live, check_history, reason

from mint.verl.checkpoint import checkpoints


def test_a_checkpoint_cut_in_half(workplace: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    with Live(workplace, path, steps=2) as live:
        live.wait_steps(1)
        assert live.end(limit_s=300) == 0
    newest = checkpoints(live.run)[2] / "actor" / "model_world_size_1_rank_0.pt"
    os.truncate(newest, newest.stat().st_size // 2)
    assert list(checkpoints(live.run)) == [1]
    with Live(workplace, path, "mint.run.resume=true", steps=3) as live:
        live.wait_steps(1)
        assert live.end(limit_s=300) == 0
    assert "from global_step_1" in live.text
    check_history(live.run, 3)


def test_one_of_two_reward_workers_is_killed(workplace: Path, tmp_path: Path) -> None:
    with Live(workplace, tmp_path / "run", "reward.num_workers=2") as live:
        live.wait_steps(1)
        workers = live.pids("RewardLoopWorker")
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        assert live.end() == 1
    assert "of the replies could not be graded" in reason(live.run)
    assert "missing" in reason(live.run)
    assert checkpoints(live.run)


def test_the_rollout_server_is_killed(workplace: Path, tmp_path: Path) -> None:
    with Live(workplace, tmp_path / "run") as live:
        live.wait_steps(1)
        servers = live.pids("VLLM::EngineCore") or live.pids("vLLMHttpServer")
        os.kill(servers[0], signal.SIGKILL)
        assert live.end() == 1
    lines = [line for line in live.text.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, live.text
    assert "none of a step's replies came back" in lines[0]
    assert "Traceback" not in live.text
    assert checkpoints(live.run)


def test_gradients_that_are_no_numbers(workplace: Path, tmp_path: Path) -> None:
    nan = ("actor_rollout_ref.model.external_lib=nan_engine", "mint.run.max_skipped_updates=2")
    with Live(workplace, tmp_path / "run", *nan) as live:
        live.wait_steps(2)
        assert live.end() == 1
    assert "steps 1-2: the gradient is not a finite number" in reason(live.run)
    rows = live.run.read_metrics()
    assert len(rows) == 2
    assert all("policy/grad_norm" in row["nonfinite"] for row in rows)


@pytest.fixture
def judge_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def judge_server(port: int) -> subprocess.Popen[bytes]:
    """A judge behind HTTP, as a process."""
    code = f"import time; from loopback import *; Loopback(GraderServer(), {port}); time.sleep(9e9)"
    tests = str(Path(__file__).resolve().parents[1])
    paths = [tests, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    server = subprocess.Popen([sys.executable, "-c", code], env=environment)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.1)
    raise AssertionError("the judge did not start")


def test_a_graders_server_is_gone_for_a_minute(
    workplace: Path, tmp_path: Path, judge_port: int
) -> None:
    served = "mint.judge.served"
    judge = (
        "mint.judge.kind=served",
        f"{served}.urls=[http://127.0.0.1:{judge_port}]",
        f"{served}.model=chat",
        f"{served}.retries=100",
        f"{served}.backoff_s=1",
        f"{served}.backoff_cap_s=5",
    )
    server = judge_server(judge_port)
    try:
        with Live(workplace, tmp_path / "run", *judge, steps=4) as live:
            live.wait_steps(1)
            server.kill()
            server.wait()
            time.sleep(60)
            server = judge_server(judge_port)
            live.wait_steps(4)
            assert live.end(limit_s=300) == 0
    finally:
        server.kill()
    check_history(live.run, 4)
    assert all(row["grader/num_failed"] == 0 for row in live.run.read_metrics()), "retried"
