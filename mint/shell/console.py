"""What a person reads while a run goes on: one line a stage, one line a step."""

from __future__ import annotations

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


def progress_bar(*, transient: bool = False) -> Progress:
    """A bar on stderr with counts and time left; `transient` removes it when it is done.

    Nothing is written where stderr is no terminal.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        disable=not console.is_terminal,
    )
