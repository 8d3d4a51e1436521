"""A run as a SLURM job, through submitit: re-queued when its time is over, and resumed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from mint.launching.job import TrainJob
from mint.launching.settings import Slurm
from mint.launching.training import Training
from mint.shell.console import say
from rewards.errors import ConfigError


def executor_of(settings: Slurm) -> Any:
    """submitit's executor. Raises ConfigError without submitit or SLURM."""
    if importlib.util.find_spec("submitit") is None:
        raise ConfigError('submitit is not installed; run `pip install -e ".[slurm]"`')
    import submitit

    limits = {f"{settings.executor}_max_num_timeout": settings.requeues}
    folder = Path(settings.folder).resolve()
    try:
        return submitit.AutoExecutor(folder=folder, cluster=settings.executor, **limits)
    except RuntimeError as error:
        said = str(error).rstrip("?.")
        raise ConfigError(f"{said}; run this where sbatch is, or executor=local") from error


def submit(settings: Slurm, training: Training) -> Any:
    """Submit the run; returns submitit's job. Raises ConfigError as `executor_of` does."""
    executor = executor_of(settings)
    folder = Path(settings.folder).resolve()
    executor.update_parameters(**parameters(settings, training))
    job = executor.submit(
        TrainJob(
            overrides=training.overrides,
            nodes=settings.nodes,
            gpus=settings.gpus,
            save_s=settings.save_s,
            folder=folder,
        )
    )
    say(f"job {job.job_id}; run directory {training.directory}")
    say(f"output: {job.paths.stdout}, {job.paths.stderr}")
    return job


def parameters(settings: Slurm, training: Training) -> dict[str, Any]:
    """submitit's parameters; those of SLURM alone only where it is the executor."""
    shared = {
        "name": f"mint-{training.recipe}",
        "nodes": settings.nodes,
        "tasks_per_node": 1,
        "gpus_per_node": settings.gpus,
        "cpus_per_task": settings.cpus,
        "mem_gb": settings.memory_gb,
        "timeout_min": round(settings.hours * 60),
    }
    if settings.executor != "slurm":
        return shared
    named = {
        name: getattr(settings, name) for name in ("partition", "account", "qos", "constraint")
    }
    return {
        **shared,
        "slurm_signal_delay_s": round(settings.save_s),
        "slurm_setup": settings.setup,
        # requeue: also when a node fails; append: the output of all stays in one file.
        "slurm_additional_parameters": {
            "requeue": True,
            "open-mode": "append",
            **settings.sbatch,
        },
        **{f"slurm_{name}": value for name, value in named.items() if value is not None},
    }
