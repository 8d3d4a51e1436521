"""How a job is started: anew, going on from a checkpoint, or again after what had no checkpoint."""

from __future__ import annotations

from pathlib import Path

from mint.config.changes import RESUME, RUN_DIR
from mint.rundir.directory import RunDir
from mint.sweeping.jobs import Job
from mint.verl.checkpoint import newest_checkpoint


def arguments_of(job: Job, folder: Path) -> tuple[list[str], str]:
    """Arguments of mint.train, and what this start is in words. Files of an attempt without
    checkpoint are moved aside, to `folder`/broken."""
    place = f"{RUN_DIR}={quoted(str(job.folder))}"
    if job.folder.is_dir() and any(job.folder.iterdir()):
        point = newest_checkpoint(RunDir(job.folder))
        if point is not None:
            return [place, f"{RESUME}=true"], f"going on from {point.name}"
        aside = _free(folder / "broken", job.name)
        aside.parent.mkdir(exist_ok=True)
        job.folder.rename(aside)
        how = f"starting again (no checkpoint; what there was is in {aside})"
    else:
        how = "starting"
    given = any(one.startswith("trainer.experiment_name=") for one in job.overrides)
    name = [] if given else [f"trainer.experiment_name={job.name}"]
    return [*job.overrides, *name, place], how


def quoted(value: str) -> str:
    """A value as Hydra's grammar reads it, whatever is in it."""
    plain = all(c.isalnum() or c in "/_.+-" for c in value)
    if plain:
        return value
    escaped = value.replace("'", "\\'")
    return f"'{escaped}'"


def _free(folder: Path, name: str) -> Path:
    """A path that nothing has yet: NAME_1, NAME_2, ..."""
    number = 1
    while (folder / f"{name}_{number}").exists():
        number += 1
    return folder / f"{name}_{number}"
