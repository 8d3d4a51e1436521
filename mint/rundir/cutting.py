"""What a run is cut to before it goes on from an earlier step, so that each step stands once."""

from __future__ import annotations

import re
import time
from pathlib import Path

from mint.rundir.directory import RunDir
from mint.shell.files import read_json_lines_counted, write_json_lines


def cut_after(run: RunDir, step: int) -> dict[str, int]:
    """Drop what was recorded of steps after `step`, which are trained again or never.

    Returns file name -> rows dropped, of the files that changed. TensorBoard's own files are never
    rewritten: a mark in a further one makes its readers leave the later steps out.
    """
    dropped = {}
    for path in (
        run.metrics_path,
        run.samples_path,
        run.quarantine_path,
        run.lost_path,
        run.regraded_path,
        run.validations_path,
    ):
        rows, broken = read_json_lines_counted(path)
        kept = [row for row in rows if row["step"] <= step]
        if broken or len(kept) < len(rows):
            write_json_lines(path, kept)
            dropped[path.name] = len(rows) - len(kept) + broken
    if run.validations_path.name in dropped:
        run.best_path.unlink(missing_ok=True)  # the trainer writes it from what is left
    for path in run.validation_path.glob("step_*.jsonl"):
        found = re.match(r"step_(\d+)_", path.name)
        if found and int(found.group(1)) > step:
            path.unlink()
    if any(run.tensorboard_path.glob("events.*")):
        _mark_restart(run.tensorboard_path, step + 1)
    return dropped


def _mark_restart(folder: Path, step: int) -> None:
    """What TensorBoard calls `purge_step`: events of this step and later, so far, do not count."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    restart = SessionLog(status=SessionLog.START)
    writer.add_event(Event(wall_time=time.time(), step=step, session_log=restart))
    writer.close()
