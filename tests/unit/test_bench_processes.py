"""Processor seconds of a run's processes, by kind, on real processes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from mint.bench.processes import VLLM, ProcessorTime, kind_of

# Argument: a title for the kind; works until the second is used up.
BUSY = "import sys, time\nwhile time.process_time() < float(sys.argv[2]): pass\ntime.sleep(60)"


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


@pytest.mark.slow
def test_seconds_of_a_step_are_of_the_steps_behind_the_first() -> None:
    steps = 0

    def work(title: str, seconds: float) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", BUSY, title, str(seconds)])

    def wait_for(step: int) -> None:
        limit = time.monotonic() + 30
        while step not in clock._at_step and time.monotonic() < limit:
            time.sleep(0.05)

    with ProcessorTime(lambda: steps) as clock:
        first = work("VLLM::EngineCore", 0.3)
        time.sleep(1.5)
        steps = 1
        wait_for(1)
        second = work("VLLM::EngineCore", 0.6)
        time.sleep(2.5)
        first.kill()
        first.wait()  # its seconds stay counted
        steps = 3
        wait_for(3)
    second.kill()
    second.wait()
    assert clock.a_step()[VLLM] == pytest.approx(0.3, abs=0.15)


@pytest.mark.slow
def test_without_a_second_step_nothing_is_known() -> None:
    with ProcessorTime(lambda: 0) as clock:
        time.sleep(0.5)
    assert clock.a_step() == {}
