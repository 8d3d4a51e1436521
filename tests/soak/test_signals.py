"""TERM, HUP, INT and USR1 to a run's supervisor: in its start, in its steps, and re-queued."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from live import SUPERVISOR, Live, check_history, reason

from mint.rundir.manifest import read_manifest
from mint.verl.checkpoint import checkpoints


def test_a_signal_in_the_start(workplace: Path, tmp_path: Path) -> None:
    with Live(workplace, tmp_path / "run") as live:
        live.wait_phase("queue")
        os.kill(live.pid_of(SUPERVISOR), signal.SIGTERM)
        assert live.end() == 128 + signal.SIGTERM
    assert live.text.splitlines()[-1] == "ended by SIGTERM"
    manifest = read_manifest(live.run)
    assert (manifest["status"], manifest["error"]) == ("failed", "ended by SIGTERM")


def test_save_and_end_then_every_signal_then_the_end(workplace: Path, tmp_path: Path) -> None:
    path, resume = tmp_path / "run", "mint.run.resume=true"
    with Live(workplace, path, "trainer.save_freq=100") as live:
        live.wait_steps(1)
        os.kill(live.pid_of(SUPERVISOR), signal.SIGUSR1)
        assert live.end() == 75
    saved = len(live.run.read_metrics())
    assert list(checkpoints(live.run)) == [saved], "only the step that was asked for is saved"
    assert f"saved after step {saved} and ended, as asked" in live.text
    assert "start took" in live.text
    manifest = read_manifest(live.run)
    assert manifest["status"] == "saved"
    assert manifest["start_s"]["rollout"] > 0
    assert not live.run.model_path.exists()
    for number in (signal.SIGHUP, signal.SIGINT):
        with Live(workplace, path, resume) as live:
            live.wait_steps(1)
            os.kill(live.pid_of(SUPERVISOR), number)
            assert live.end() == 128 + number
        assert reason(live.run) == f"ended by {signal.Signals(number).name}"
    last = max(checkpoints(live.run)) + 1
    with Live(workplace, path, resume, steps=last) as live:
        live.wait_steps(1)
        assert live.end(limit_s=300) == 0
    check_history(live.run, last)
    errors = [attempt["error"] for attempt in read_manifest(live.run)["attempts"]]
    assert errors == [None, "ended by SIGHUP", "ended by SIGINT", None]
    assert live.run.model_path.exists()
