"""Where the start of a training run is: RUN/logs/start.jsonl, one row for each phase that is over.

Written by the training process, the runner and the trainer, read by `mint.training.start`. What
happens inside verl's `_setup` is known from the lines it logs (tests/contract checks them). Imports
neither verl nor ray.
"""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple

from mint.rundir.directory import RunDir
from mint.shell.files import append_json_lines

VERL_LOGGER = "verl.trainer.ppo.v1.trainer_base"


class Phase(NamedTuple):
    """A part of the start."""

    words: str
    """What is there when it is over."""
    share: float | None
    """How much of `mint.run.start_timeout_s` it may take, with room over what was seen on busy
    machines; None: it is a part of the first step and may take `mint.run.step_timeout_s`."""
    logged: str = ""
    """How a line begins that verl logs at its end; "" when mint notes it itself."""


PHASES = {
    "python": Phase("verl imported", 1 / 3),
    "ray": Phase("Ray up", 1 / 3),
    "queue": Phase("transfer queue up", 1 / 3),
    "data": Phase("prompts read and filtered", 1 / 3),
    "workers": Phase("workers up", 1 / 3, "create worker group"),
    "model": Phase("policy and reference loaded", 1, "actor and ref model engine initialized"),
    "graders": Phase("graders loaded", 1 / 3, "reward loop manager initialized"),
    "rollout": Phase("vLLM up", 1, "checkpoint engine manager initialized"),
    "checkpoint": Phase("checkpoint looked for and loaded", 2 / 3),
    "weights": Phase("weights pushed to vLLM", 1 / 3),
    "generation": Phase("first replies generated and graded", None),
    "step": Phase("first step done", None),
}
"""Phases of a start, in their order. The last one ends with the first row of metrics.jsonl."""


def note(run: RunDir, phase: str) -> None:
    """Record that a phase is over."""
    append_json_lines(run.start_path, [{"phase": phase, "at": time.time()}])


class _FromLog(logging.Handler):
    """Notes the phases that verl's own log lines end."""

    def __init__(self, run: RunDir) -> None:
        super().__init__(logging.INFO)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        for name, phase in PHASES.items():
            if phase.logged and record.getMessage().startswith(phase.logged):
                note(self._run, name)


class NotedStart:
    """Base of a verl trainer: notes the phases of its start. `_run` is set before `init`."""

    _run: RunDir
    _generated = False

    def init(self) -> None:
        logger, handler = logging.getLogger(VERL_LOGGER), _FromLog(self._run)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        try:
            super().init()  # type: ignore[misc]
        finally:
            logger.removeHandler(handler)

    def _init_dataloader(self) -> None:
        super()._init_dataloader()  # type: ignore[misc]
        note(self._run, "data")

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()  # type: ignore[misc]
        note(self._run, "checkpoint")

    def on_init_end(self) -> None:
        super().on_init_end()  # type: ignore[misc]
        note(self._run, "weights")

    def on_sample_end(self) -> Any:
        if not self._generated:
            self._generated = True
            note(self._run, "generation")
        return super().on_sample_end()  # type: ignore[misc]
