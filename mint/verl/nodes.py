"""Notices that a machine of the run's Ray cluster is gone.

verl does not: ranks on other machines wait for the lost one in a collective, and the step after it
never ends. Ray knows within its health checks (20 s in a try on one machine).
"""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import ray
from ray.util import placement_group_table

EVERY_S = 3.0
_SIGNAL = signal.SIGRTMIN
"""Not SIGINT, which is ignored in what a script starts in the background."""


class NodeWatch:
    """As a context around `ray.get` in the main thread: interrupts it (KeyboardInterrupt) when a
    machine dies that holds workers of this run; `lost` then says which.

    Raises ValueError in another thread: only the main one has signals.
    """

    def __init__(self) -> None:
        self.lost = ""
        self._used: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="node-watch", daemon=True)

    def __enter__(self) -> NodeWatch:
        self._before = signal.signal(_SIGNAL, signal.default_int_handler)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=EVERY_S)
        signal.signal(_SIGNAL, self._before)

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            if not ray.is_initialized():
                continue
            self._used |= nodes_used(placement_group_table())
            self.lost = lost_of(self._used, ray.nodes())
            if self.lost and not self._over.is_set():
                _thread.interrupt_main(_SIGNAL)
                return


def nodes_used(table: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Ids of the nodes on which a placement group has room; of a table of
    `ray.util.placement_group_table`."""
    groups = (group for group in table.values() if group["state"] == "CREATED")
    return {node for group in groups for node in group["bundles_to_node_id"].values() if node}


def lost_of(used: Iterable[str], nodes: Iterable[Mapping[str, Any]]) -> str:
    """What to say when one of the nodes used is among the dead of `ray.nodes()`; "" if none is."""
    used = set(used)
    for node in nodes:
        if node["NodeID"] in used and not node["Alive"]:
            name = node.get("NodeName") or node.get("NodeManagerHostname")
            address = node.get("NodeManagerAddress")
            about = name if name == address else f"{name} ({address})"
            why = node.get("DeathReasonMessage") or "it does not answer"
            return f"the machine {about} of this run's Ray cluster is lost: {why}".strip()
    return ""
