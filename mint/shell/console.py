"""What a person reads while a run goes on: one line a stage, one line a step."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


def say(line: str) -> None:
    """Print one line at once."""
    print(line, flush=True)


LINE_S = 30.0
"""Seconds between two lines of progress in a log; what takes less time writes none."""


class _Lines(Progress):
    """Progress for a log."""

    def __init__(self, *columns: Any, **settings: Any) -> None:
        super().__init__(*columns, **settings)
        self._said = self._begun = time.monotonic()

    def advance(self, task_id: Any, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._say(task_id)

    def update(self, task_id: Any, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._say(task_id)

    def _say(self, task_id: Any) -> None:
        now = time.monotonic()
        if now - self._said < LINE_S:
            return
        self._said = now
        task = self._tasks[task_id]
        total = f" of {task.total:,.0f}" if task.total else ""
        line = f"{task.description}: {task.completed:,.0f}{total} after {now - self._begun:.0f} s"
        print(line, file=sys.stderr, flush=True)


def progress_bar(*, transient: bool = False) -> Progress:
    """A bar on stderr with counts and time left; `transient` removes it when it is done.

    Where stderr is no terminal (a cluster's log), a line every `LINE_S` seconds instead.
    """
    console = Console(stderr=True)
    kind = Progress if console.is_terminal else _Lines
    return kind(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        disable=not console.is_terminal,
    )
