"""A run on two ranks, and on two nodes: one of them is killed, and the run goes on when resumed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from live import Live, check_history, reason
from ray_nodes import Nodes, family

from mint.rundir.directory import RunDir
from mint.verl.checkpoint import checkpoints

TRAINERS = "ray::WorkerDict"
"""The data-parallel ranks of the trainer, as Ray names their processes."""


def check_all_learnt(run: RunDir, steps: int) -> None:
    """Each step once, with both ranks' replies, and every engine had the trainer's weights."""
    check_history(run, steps)
    for row in run.read_metrics():
        assert row["group/num"] == 4
        assert row["policy/log_prob_pearson"] > 0.999
    files = {path.name for path in (checkpoints(run)[steps] / "actor").glob("model_*.pt")}
    assert files == {f"model_world_size_2_rank_{rank}.pt" for rank in (0, 1)}
    assert any(run.model_path.glob("*.safetensors"))


def test_one_of_two_ranks_is_killed(workplace: Path, tmp_path: Path) -> None:
    path, ranks = tmp_path / "run", "trainer.n_gpus_per_node=2"
    with Live(workplace, path, ranks) as live:
        live.wait_steps(2)
        workers = live.pids(TRAINERS)
        assert len(workers) == 2
        os.kill(workers[1], signal.SIGKILL)
        assert live.end() == 1
    # Ray's words, or those of the rank that waited for the other one.
    assert re.search("died|peer", reason(live.run))
    last = max(checkpoints(live.run))
    with Live(workplace, path, "mint.run.resume=true", steps=last + 2) as live:
        live.wait_steps(2)
        assert live.end(limit_s=300) == 0
    assert f"from global_step_{last}" in live.text
    check_all_learnt(live.run, last + 2)


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    # Where this user has a token, a cluster would want it of everyone.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with ExitStack() as stack:
        yield Nodes(tmp_path, stack)


def test_one_of_two_nodes_is_killed(workplace: Path, tmp_path: Path, nodes: Nodes) -> None:
    path, second = tmp_path / "run", nodes.join()
    there = (f"ray_kwargs.ray_init.address={nodes.address}", "trainer.nnodes=2")
    with Live(workplace, path, *there) as live:
        live.wait_steps(2)
        for process in family(second):
            process.kill()
        assert live.end() == 1
    assert "of this run's Ray cluster is lost" in reason(live.run)
    last = max(checkpoints(live.run))
    second.wait()
    nodes.join()
    with Live(workplace, path, "mint.run.resume=true", steps=last + 2) as live:
        live.wait_steps(2)
        assert live.end(limit_s=300) == 0
    check_all_learnt(live.run, last + 2)
    assert nodes.head.poll() is None, "the run has ended somebody else's Ray"
