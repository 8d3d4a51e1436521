"""Ray clusters that already run on this machine, found without Ray."""

from __future__ import annotations

import re
from typing import NamedTuple

import psutil


class RayCluster(NamedTuple):
    """A head process of Ray (its control store)."""

    pid: int
    user: str
    port: int | None
    """Port that `ray start` would have printed; None when it cannot be told."""


def ray_clusters() -> tuple[RayCluster, ...]:
    """One entry a running head. A process of another user is seen, too."""
    found = []
    for process in psutil.process_iter(["pid", "name", "cmdline", "username"]):
        facts = process.info
        if facts["name"] != "gcs_server":
            continue
        match = re.search(r"--gcs_server_port=(\d+)", " ".join(facts["cmdline"] or ()))
        port = int(match[1]) if match and int(match[1]) else None
        found.append(RayCluster(facts["pid"], facts["username"] or "?", port))
    return tuple(found)
