"""A machine that is lost ends the run, instead of a step that never ends."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the cpu or gpu extra")

from mint.verl import nodes

pytestmark = pytest.mark.contract

HERE = {"NodeID": "a", "Alive": True, "NodeName": "head", "NodeManagerAddress": "10.0.0.1"}
THERE = {"NodeID": "b", "Alive": True, "NodeName": "gpu-7", "NodeManagerAddress": "10.0.0.7"}
GONE = {**THERE, "Alive": False, "DeathReasonMessage": "health check failed"}
TABLE = {
    "1": {"state": "CREATED", "bundles_to_node_id": {0: "a", 1: "b"}},
    "2": {"state": "PENDING", "bundles_to_node_id": {0: ""}},
    "3": {"state": "REMOVED", "bundles_to_node_id": {0: "c"}},
}


def test_nodes_with_workers_of_the_run_count() -> None:
    assert nodes.nodes_used(TABLE) == {"a", "b"}
    assert nodes.lost_of({"a", "b"}, [HERE, THERE]) == ""
    assert nodes.lost_of({"a"}, [HERE, GONE]) == ""
    said = nodes.lost_of({"a", "b"}, [HERE, GONE])
    assert said == (
        "the machine gpu-7 (10.0.0.7) of this run's Ray cluster is lost: health check failed"
    )


def test_what_waits_is_interrupted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is rescheduled when its machine dies: what it had before counts."""
    polls = iter([(TABLE, [HERE, THERE]), ({}, [HERE, GONE])])
    now: list[Any] = []

    def table() -> Any:
        now[:] = next(polls)
        return now[0]

    monkeypatch.setattr(nodes, "EVERY_S", 0.05)
    monkeypatch.setattr(nodes.ray, "is_initialized", lambda: True)
    monkeypatch.setattr(nodes, "placement_group_table", table)
    monkeypatch.setattr(nodes.ray, "nodes", lambda: now[1])
    # As in what a script starts in the background.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), nodes.NodeWatch() as watch:
            time.sleep(20)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "gpu-7" in watch.lost


def test_a_watch_that_is_over_interrupts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "EVERY_S", 0.05)
    monkeypatch.setattr(nodes.ray, "is_initialized", lambda: True)
    monkeypatch.setattr(nodes, "placement_group_table", lambda: TABLE)
    monkeypatch.setattr(nodes.ray, "nodes", lambda: [HERE, THERE])
    with nodes.NodeWatch() as watch:
        time.sleep(0.2)
    monkeypatch.setattr(nodes.ray, "nodes", lambda: [HERE, GONE])
    time.sleep(0.3)
    assert watch.lost == ""
