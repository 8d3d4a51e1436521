"""A run as a job of a Ray cluster that is already there."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from mint.launching.settings import RayJob
from mint.launching.training import Training, attempt_command
from mint.shell.console import say


def submit_command(settings: RayJob, training: Training, folder: Path) -> list[str]:
    """`ray job submit` for the run, to be started in `folder` on the cluster."""
    ray = Path(sys.executable).with_name("ray")
    overrides = training.on(nodes=settings.nodes, gpus=settings.gpus, address="auto")
    command = [str(ray), "job", "submit", "--address", settings.address]
    command += ["--submission-id", settings.name] if settings.name else []
    command += [] if settings.wait else ["--no-wait"]
    # Nothing is uploaded: the checkout, its environment and the outputs lie in a shared folder.
    inner = f"cd {shlex.quote(str(folder))} && exec {shlex.join(attempt_command(overrides))}"
    return [*command, "--", "bash", "-c", inner]


def submit(settings: RayJob, training: Training) -> int:
    """Submit the run, or print the command that does; returns the command's status."""
    command = submit_command(settings, training, Path.cwd())
    if settings.print_only:
        print(shlex.join(command))
        return 0
    say(f"run directory {training.directory}")
    status = subprocess.run(command, check=False).returncode
    if status == 0 and not settings.wait:
        job = settings.name or "JOB"
        say(f"look at it: ray job logs --address {settings.address} --follow {job}")
        say(f"end it:     ray job stop --address {settings.address} {job}")
    return status
