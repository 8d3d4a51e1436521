"""Real training by way of the launchers: a SLURM job whose time is over, a job of a Ray cluster."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from live import SMALL, START_S, check_history, wait_for
from ray_nodes import Nodes
from training_queue import leftovers

from mint import launch
from mint.launching import slurm
from mint.launching.settings import Slurm
from mint.launching.training import read_training
from mint.rundir.directory import RunDir
from mint.rundir.manifest import read_manifest


def asked(run: RunDir, steps: int) -> list[str]:
    """What stands behind the two hyphens."""
    return [
        *("+recipe=mint_tiny", *SMALL, "trainer.save_freq=100", f"mint.run.dir={run.path}"),
        f"trainer.total_training_steps={steps}",
    ]


def test_a_job_whose_time_is_over_comes_back(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """submitit's local executor and SLURM's signal, which every process of the job gets."""
    pytest.importorskip("submitit")
    monkeypatch.chdir(workplace)
    run = RunDir(tmp_path / "run")
    settings = Slurm(executor="local", folder=str(tmp_path / "jobs"), hours=1, save_s=120)
    job = slurm.submit(settings, read_training(asked(run, 30)))
    wait_for(lambda: run.metrics_path.exists() and bool(run.read_metrics()), START_S, "a step")
    for process in reversed(psutil.Process(job._process.pid).children(recursive=True)):
        process.send_signal(signal.SIGUSR2)
    assert job.result() == 0, job.stderr()
    check_history(run, 30)
    manifest = read_manifest(run)
    assert manifest["status"] == "finished"
    first, second = manifest["attempts"]
    assert first["error"] is None, "it has saved and ended as asked"
    assert 1 <= second["from_step"] < 30
    assert not leftovers(run.path)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with ExitStack() as stack:
        yield Nodes(tmp_path, stack, dashboard=True)


def test_a_job_of_a_ray_cluster(
    workplace: Path, tmp_path: Path, cluster: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    run = RunDir(tmp_path / "run")
    there = ["ray", f"address=http://127.0.0.1:{cluster.dashboard_port}", "wait=true", "--"]
    assert launch.run([*there, *asked(run, 2)]) == 0
    check_history(run, 2)
    assert read_manifest(run)["status"] == "finished"
    assert launch.run([*there, *asked(run, 2)]) == 0, "it has finished: nothing is done"
    assert len(read_manifest(run)["attempts"]) == 1
    assert not leftovers(run.path)
    assert cluster.head.poll() is None
