"""The socket through which weights reach vLLM: one for each run on a machine.

verl 0.9.1 puts it into /tmp and names it after the Ray job, which is the first one in every Ray of
a run's own. So two runs at the same time on one machine would take the socket away from each other,
and generate with each other's weights. Imports verl only in `register`.
"""

from __future__ import annotations

import hashlib
import os

from mint.rundir.directory import RunDir

MARK = "MINT_WEIGHT_SOCKET"
"""Environment variable of a run's processes. vLLM's own processes know nothing else of the run."""


def switch(run: RunDir) -> dict[str, str]:
    """What a run's processes are told; no two runs work in one directory at the same time."""
    return {MARK: hashlib.sha256(str(run.path.resolve()).encode()).hexdigest()[:16]}


def of_this_run(handle: str) -> str:
    """verl's address of the socket, with the run's mark."""
    return f"{handle.removesuffix('.sock')}-{os.environ[MARK]}.sock"


def register() -> None:
    """Have verl push weights through `mint.verl.weight_push`."""
    from verl.workers.rollout.base import _ROLLOUT_REGISTRY

    _ROLLOUT_REGISTRY["vllm", "async"] = "mint.verl.weight_push.Sender"
