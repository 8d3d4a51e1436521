"""Locks that keep several drivers of one sweep, and several processes of one job, apart."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def lock_path(folder: Path, name: str) -> Path:
    """The lock that a job's own process holds while it lives."""
    return folder / ".locks" / name


def is_held(path: Path) -> bool:
    """Whether a process holds the lock."""
    with locked(path, wait=False) as mine:
        return not mine


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a file's lock; gives whether it is ours. It goes with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass  # a file system without locks
        yield True
