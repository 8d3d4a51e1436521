"""The process of one job: `python -m mint.sweeping.child LOCK DRIVER MODULE [key=value ...]`.

It holds the job's lock for as long as it lives, so that no two processes train into one folder, and
is told to end (SIGTERM) when the process DRIVER dies, however that happens.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from mint.shell.guard import die_with_parent
from mint.sweeping.locks import locked

BUSY = 73
"""Exit status when another process has the job."""


def main(arguments: Sequence[str]) -> int:
    """Run MODULE as `python -m` does; returns, or exits with, its status."""
    lock, driver, module, *rest = arguments
    with locked(Path(lock), wait=False) as mine:
        if not mine:
            return BUSY
        die_with_parent(int(driver))
        sys.argv[1:] = rest
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
