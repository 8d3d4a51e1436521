"""kill -9 at random moments, again and again; the run goes on each time and its record is whole."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from live import GUARD, SUPERVISOR, TRAINER, Live, check_history

from mint.rundir.manifest import read_manifest
from mint.verl.checkpoint import checkpoints


def test_killed_at_random_moments(
    workplace: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kills = max(2, int(request.config.getoption("--kills")))
    moments = random.Random(int(request.config.getoption("--seed")))
    path = tmp_path / "run"
    with Live(workplace, path, steps=1000) as live:
        live.wait_phase("queue")
        os.kill(live.pid_of(SUPERVISOR), signal.SIGKILL)
        assert live.end() == -signal.SIGKILL
    with Live(workplace, path, "mint.run.resume=true", steps=1000) as live:
        live.wait_steps(2)
        assert "begins again at step 0" in live.text
        to_here = time.monotonic() - live.started
        os.kill(live.pid_of(SUPERVISOR), signal.SIGKILL)
        assert live.end() == -signal.SIGKILL
    for _ in range(kills - 2):
        known = max(checkpoints(live.run))
        with Live(workplace, path, "mint.run.resume=true", steps=1000) as live:
            time.sleep(moments.uniform(0, 1.3 * to_here))
            victims = [SUPERVISOR, GUARD, TRAINER]
            victim = moments.choice([part for part in victims if live.pids(part)] or [SUPERVISOR])
            print(f"kill -9 {victim} after {time.monotonic() - live.started:.0f} s", flush=True)
            os.kill(live.pid_of(victim), signal.SIGKILL)
            assert live.end() in (-signal.SIGKILL, 1), live.text
        assert max(checkpoints(live.run)) >= known, "no complete checkpoint is lost"
    steps = max(checkpoints(live.run)) + 1
    with Live(workplace, path, "mint.run.resume=true", steps=steps) as live:
        live.wait_steps(1)
        assert live.end(limit_s=300) == 0
    check_history(live.run, steps)
    manifest = read_manifest(live.run)
    assert manifest["status"] == "finished"
    assert len(manifest["attempts"]) <= kills + 1, "none is invented"
    for before, after in zip(manifest["attempts"], manifest["attempts"][1:], strict=False):
        assert before["error"], "each but the last says that it broke off"
        assert after["from_step"] >= before["from_step"]
