"""The request to save and end: RUN/save_and_end, an empty file that anyone may write.

`mint.train` writes it on SIGUSR1, the trainer obeys after the step it is in and leaves
{"saved_step": N} in the file. Imports neither verl nor ray.
"""

from __future__ import annotations

import time
from typing import Any

from mint.rundir.directory import RunDir
from mint.shell.files import read_json, write_json


def ask(run: RunDir) -> None:
    """Ask the run to save after the present step and end."""
    run.save_and_end_path.touch()


def withdraw(run: RunDir) -> None:
    """Forget a request, and its answer, of an earlier time."""
    run.save_and_end_path.unlink(missing_ok=True)


def saved_step(run: RunDir) -> int | None:
    """The step after which the run has saved and ended as asked; None when it has not."""
    path = run.save_and_end_path
    if not path.exists() or not path.stat().st_size:
        return None
    return int(read_json(path)["saved_step"])


class SavesOnRequest:
    """Base of a verl trainer that obeys the request at the end of a step.

    The last step saves anyway and ends as ever.
    """

    _run: RunDir
    _saved_step: int
    global_steps: int
    total_training_steps: int
    timing_raw: dict[str, Any]

    def save_now(self) -> None:
        """Save a checkpoint of the present step, unless there is one."""
        if self._saved_step != self.global_steps:
            started = time.perf_counter()
            self._save_checkpoint()  # type: ignore[attr-defined]
            self.timing_raw["save_checkpoint"] = time.perf_counter() - started

    def on_step_end(self) -> None:
        step = self.global_steps
        if self._run.save_and_end_path.exists() and step < self.total_training_steps:
            self.save_now()
            write_json(self._run.save_and_end_path, {"saved_step": step})
            # verl's loop goes on while global_steps <= total_training_steps.
            self.total_training_steps = step
        super().on_step_end()  # type: ignore[misc]
