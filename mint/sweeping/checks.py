"""What is checked before the first job starts: all that a dry run of each job would."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from omegaconf import DictConfig, open_dict

from mint.sweeping.gpus import Pool, need_of
from mint.sweeping.jobs import Job
from rewards.errors import ConfigError, MintError


def check_jobs(jobs: Sequence[Job], pool: Pool, graders: bool = False) -> list[str]:
    """Facts and notes of the jobs, each once; `graders` loads these too.

    Raises ConfigError that names every job that cannot run.
    """
    problems: dict[str, list[str]] = {}
    said: list[str] = []
    loaded: list[object] = []
    for job in jobs:
        try:
            pool.check(need_of(job.config))
            lines, grading = _check(job)
            if graders and grading not in loaded:
                _load(job)
                loaded.append(grading)
            said += [line for line in lines if line not in said]
        except MintError as error:
            problems.setdefault(str(error), []).append(job.label)
    if problems:
        raise ConfigError(_joined(problems, len(jobs)))
    return said


def build_material(jobs: Sequence[Job]) -> None:
    """Build once what several jobs would build at the same time. Raises TrainingError."""
    from mint.config.schema import mint_config
    from mint.training import material

    for job in jobs:
        material.build(job.config, mint_config(job.config))


def _check(job: Job) -> tuple[list[str], object]:
    """What is to be said of a job, and the settings of its graders."""
    from mint.training import pipeline

    ready = pipeline.plan(_as_new(job))
    mint = ready.mint
    notes = [f"note: {note}" for note in ready.report.notes]
    for what in ready.missing.values():
        notes.append(f"note: {what} is not there yet; the sweep builds it")
    grading = (mint.encoder, mint.tagger, mint.judge, mint.second_judge)
    return [*ready.report.facts, *notes], grading


def _as_new(job: Job) -> DictConfig:
    """The configuration of a new run: whether there is one to go on with is the driver's to see."""
    config = deepcopy(job.config)
    if job.folder.is_dir() and any(job.folder.iterdir()):
        with open_dict(config):
            config.mint.run.dir = str(job.folder / "again")
    return config


def _load(job: Job) -> None:
    from mint.config.schema import mint_config
    from rewards.build import build_second_judge, ready_graders

    mint = mint_config(job.config)
    ready_graders(mint.encoder, mint.tagger, mint.judge)
    build_second_judge(mint.second_judge)


def _joined(problems: dict[str, list[str]], jobs: int) -> str:
    """One line for a single problem, else one for each."""
    if len(problems) == 1:
        ((message, labels),) = problems.items()
        where = "every job" if len(labels) == jobs else ", ".join(labels)
        return f"{message} ({where})" if jobs > 1 else message
    lines = [f"  {', '.join(labels)}: {message}" for message, labels in problems.items()]
    count = sum(map(len, problems.values()))
    return "\n".join([f"{count} of {jobs} jobs cannot run; none was started", *lines])
