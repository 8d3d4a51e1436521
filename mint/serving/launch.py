"""Becomes a command that is ended when its parent dies: `python -m mint.serving.launch PID CMD...`.

A parent that is killed outright cannot clean up, so the kernel is asked to (Linux only).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Never returns: runs the command in place of this process."""
    parent, command = int(argv[0]), argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)  # it died before the request to the kernel took effect
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
