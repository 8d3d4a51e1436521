"""Becomes a command that is ended when its parent dies: `python -m mint.serving.launch PID CMD...`.

A parent that is killed outright cannot clean up, so the kernel is asked to (Linux only).
"""

from __future__ import annotations

import os
import sys

from mint.shell.guard import die_with_parent


def main(argv: list[str]) -> None:
    """Never returns: runs the command in place of this process."""
    parent, command = int(argv[0]), argv[1:]
    die_with_parent(parent)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
