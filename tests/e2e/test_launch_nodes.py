"""The SLURM job on two nodes: two real Ray nodes on this machine find each other and part again."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from mint.launching.job import TrainJob

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# In the place of training: what a run would see of the cluster.
PROBE = """
import ray, sys
ray.init(address=sys.argv[2], log_to_driver=False)
alive = [node for node in ray.nodes() if node["Alive"]]
open(sys.argv[1], "w").write(f"{len(alive)} {ray.cluster_resources()['GPU']:.0f}")
ray.shutdown()
"""


def test_two_nodes_meet_run_once_and_part(tmp_path: Path) -> None:
    submitit = pytest.importorskip("submitit")
    executor = submitit.LocalExecutor(tmp_path / "jobs")
    # Both tasks see GPU 0: without one Ray refuses --num-gpus=1.
    executor.update_parameters(timeout_min=8, tasks_per_node=2, gpus_per_node=1)
    seen = tmp_path / "seen"
    command = [sys.executable, "-c", PROBE, str(seen)]
    job = executor.submit(
        TrainJob([], nodes=2, gpus=1, save_s=20, folder=tmp_path, command=command)
    )
    assert job.results() == [0, 0], job.stderr()
    assert seen.read_text() == "2 2"
    (folder,) = tmp_path.glob("*_nodes")
    assert {path.name for path in folder.iterdir()} == {
        *("ready_0", "ready_1", "ray_0.log", "ray_1.log", "ended"),
    }
    family = str(folder.name.partition("_")[0])
    assert not psutil.pid_exists(int(family)) or not psutil.Process(int(family)).children()
