"""How jobs have ended: the worst of all, and in words."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from mint.shell.processes import first_error
from mint.shell.statuses import COLLAPSED


def worst(statuses: Sequence[int]) -> int:
    """The worst exit status: a failure before an end by the collapse alarm before 0."""
    failures = [status for status in statuses if status not in (0, COLLAPSED)]
    return max(failures, default=max(statuses, default=0))


def reason_of(output: str, status: int) -> str:
    """Why a job with this output and status has failed: its own words, if it had any."""
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    said = errors[-1].removeprefix("error: ") if errors else first_error(output)
    return said or _unsaid(status)


def _unsaid(status: int) -> str:
    if status - 128 not in set(signal.Signals):
        return f"it ended with status {status}"
    name = signal.Signals(status - 128).name
    memory = ", as the system does when memory is short" if name == "SIGKILL" else ""
    return f"it was killed by {name}{memory}"
