"""How a job is started: anew, or going on where it was interrupted."""

from __future__ import annotations

from mint.config.changes import RESUME, RUN_DIR
from mint.config.quoting import quoted
from mint.rundir.directory import RunDir
from mint.sweeping.jobs import Job
from mint.verl.checkpoint import newest_checkpoint


def arguments_of(job: Job) -> tuple[list[str], str]:
    """Arguments of mint.train, and what this start is in words."""
    place = f"{RUN_DIR}={quoted(str(job.folder))}"
    run = RunDir(job.folder)
    if run.is_begun:
        point = newest_checkpoint(run)
        return [place, f"{RESUME}=true"], f"going on from {point.name if point else 'step 0'}"
    given = any(one.startswith("trainer.experiment_name=") for one in job.overrides)
    name = [] if given else [f"trainer.experiment_name={job.name}"]
    return [*job.overrides, *name, place], "starting"
