"""A step's metrics are kept with its checkpoint, so that a run that goes on from it has them.

verl saves a step before it pushes weights, validates and logs; a run that is killed in between goes
on with the step after, and metrics.jsonl would never get its row. Imports neither verl nor ray.
"""

from __future__ import annotations

from typing import Any

from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there, write_json
from mint.verl.checkpoint import newest_checkpoint
from mint.verl.step_metrics import translate

_FILE = "metrics.json"


def restore_row(run: RunDir) -> None:
    """Append the row of the newest checkpoint's step to metrics.jsonl, when it is not there: what
    was measured until the step was saved."""
    checkpoint = newest_checkpoint(run)
    kept = None if checkpoint is None else read_json_if_there(checkpoint / _FILE)
    if kept is not None and all(row["step"] != kept["step"] for row in run.read_metrics()):
        run.append_metrics(kept["step"], kept["metrics"])


class KeepsStepMetrics:
    """Base of a verl trainer that puts the metrics so far into each checkpoint."""

    _run: RunDir
    global_steps: int
    _so_far: dict[str, Any] | None = None

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
        batch = super().step(metrics, timing_raw)  # type: ignore[misc]
        self._so_far = dict(metrics)
        return batch

    def _save_checkpoint(self) -> None:
        folder = self._run.checkpoints_path / f"global_step_{self.global_steps}"
        if self._so_far is not None:
            kept = {"step": self.global_steps, "metrics": translate(self._so_far)}
            write_json(folder / _FILE, kept)
        super()._save_checkpoint()  # type: ignore[misc]
