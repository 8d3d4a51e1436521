"""The training command that is launched: checked here, with a folder and a cluster of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mint.config import invocation
from mint.config.changes import RESUME, RUN_DIR
from mint.config.continuing import key_of
from rewards.errors import ConfigError

ADDRESS = "ray_kwargs.ray_init.address"
_OWN = (RESUME, ADDRESS)


class Training(NamedTuple):
    """One run: the recipe's name, its folder, and all overrides with the folder among them."""

    recipe: str
    directory: Path
    overrides: list[str]

    def on(self, *, nodes: int, gpus: int, address: str | None = None) -> list[str]:
        """The overrides of this run on so many GPUs of a Ray cluster; None: a Ray of its own."""
        given = {key_of(override) for override in self.overrides}
        sizes = {"trainer.nnodes": nodes, "trainer.n_gpus_per_node": gpus}
        added = [f"{key}={value}" for key, value in sizes.items() if key not in given]
        return [*self.overrides, *added, *([] if address is None else [f"{ADDRESS}={address}"])]


def read_training(overrides: Sequence[str], directory: Path | None = None) -> Training:
    """The one run of a `mint.train` command line, composed and checked but not started.

    `directory` replaces the default of mint.run.dir, which is made here, for this run alone. Raises
    ConfigError for what mint.train would refuse, for a sweep, and for what a launched run decides
    itself.
    """
    if not overrides:
        raise ConfigError(
            "nothing to train; put what mint.train takes behind two hyphens: -- +recipe=NAME"
        )
    for override in overrides:
        if key_of(override) in _OWN:
            raise ConfigError(f"{key_of(override)} is set by the launcher; leave it out")
    asked = invocation.read(overrides)
    if asked.printing or asked.dry_run:
        raise ConfigError("only runs can be launched; try --dry-run with mint.train itself")
    if len(asked.jobs) != 1:
        raise ConfigError(f"{len(asked.jobs)} runs at once cannot be launched; see mint.sweep")
    (job,) = asked.jobs
    given = any(key_of(override) == RUN_DIR for override in overrides)
    if directory is None:
        invocation.claim(job)
    path = Path(job.config.mint.run.dir) if given or directory is None else directory
    rest = [override for override in job.overrides if key_of(override) != RUN_DIR]
    recipe = next(o.partition("=")[2] for o in rest if key_of(o) == "recipe")
    return Training(recipe, path, [*rest, f"{RUN_DIR}={path}"])


def attempt_command(overrides: Sequence[str]) -> list[str]:
    """Starts the run, or resumes it; see `mint.launching.attempt`."""
    return [sys.executable, "-m", "mint.launch", "attempt", "--", *overrides]
