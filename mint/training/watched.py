"""The page of a run while it goes on, in a process beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mint.rundir.directory import RunDir
from mint.shell.guard import beside
from mint.shell.processes import python_module

_LAST_LOOK_S = 3.0
"""So long after the run's end, pages that are open see how it ended."""


@contextmanager
def watched(run: RunDir) -> Iterator[None]:
    """`mint watch RUN`, which prints its address, until the run has ended, well or not.

    It only reads: where it cannot start, or is ended, the run goes on without it.
    """
    with beside(python_module("mint.watch", str(run.path))):
        try:
            yield
        except Exception:
            time.sleep(_LAST_LOOK_S)
            raise
        time.sleep(_LAST_LOOK_S)
