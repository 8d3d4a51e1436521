"""Processor seconds of a run's processes, by kind, on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mint.bench.processes import VLLM, ProcessorTime, kind_of

# Argument: a title for the kind; works until the second is used up.
BUSY = "import sys, time\nwhile time.process_time() < float(sys.argv[2]): pass\ntime.sleep(60)"

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("VLLM::EngineCore", VLLM),
        ("ray::vLLMHttpServer.generate", VLLM),
        ("ray::WorkerDict.actor_rollout_update_actor", "trainer"),
        ("ray::RewardLoopWorker.compute_score", "graders"),
        ("ray::AgentLoopWorkerTQ.generate_sequences", "agent loop"),
        ("ray::MintTaskRunner.run", "task runner"),
        ("ray::SimpleStorageUnit", "TransferQueue"),
        ("/lib/ray/core/src/ray/raylet/raylet --raylet_socket_name=x", "Ray"),
        ("ray::IDLE", "Ray"),
        ("python -m mint.verl.worker /run", "other"),
    ],
)
def test_titles_of_ray_and_vllm_say_the_kind(title: str, kind: str) -> None:
    assert kind_of(title) == kind


def _measured() -> float:
    """vLLM's seconds a step where it used 0.3 s up to step 1 and 0.6 s from there to step 3."""
    steps = 0

    def work(seconds: float) -> subprocess.Popen[bytes]:
        started = subprocess.Popen([sys.executable, "-c", BUSY, "VLLM::EngineCore", str(seconds)])
        used = seconds - 2 * TICK_S  # user and system time are counted in whole ticks
        _wait(lambda: any(pid == started.pid and s > used for pid, s in seen()))
        return started

    def seen() -> list[tuple[int, float]]:
        return [(pid, s) for (pid, _), (_, s) in list(clock._seconds.items())]

    with ProcessorTime(lambda: steps) as clock:
        first = work(0.3)
        steps = 1
        _wait(lambda: 1 in clock._at_step)
        second = work(0.6)
        first.kill()
        first.wait()  # its seconds stay counted
        steps = 3
        _wait(lambda: 3 in clock._at_step)
    second.kill()
    second.wait()
    return clock.a_step()[VLLM]


def _wait(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.mark.slow
def test_seconds_of_a_step_are_of_the_steps_behind_the_first() -> None:
    """In a process of its own: pytest's has the servers and runs of other tests as children."""
    code = "import test_bench_processes as here; print(here._measured())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(0.3, abs=0.15)


@pytest.mark.slow
def test_without_a_second_step_nothing_is_known() -> None:
    with ProcessorTime(lambda: 0) as clock:
        time.sleep(0.5)
    assert clock.a_step() == {}
