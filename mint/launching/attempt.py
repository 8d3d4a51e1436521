"""Start or resume: what a scheduler may call again and again for one and the same run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mint.config.changes import RESUME, RUN_DIR
from mint.config.continuing import key_of
from mint.rundir.directory import RunDir
from mint.shell.console import say
from mint.shell.files import read_json_if_there
from mint.verl.checkpoint import newest_checkpoint
from rewards.errors import ConfigError


def next_overrides(overrides: Sequence[str], most: int) -> list[str] | None:
    """What mint.train is to be given now; None when the run has finished.

    A run with a checkpoint is resumed. One that ended before its first is moved to RUN.attempt1,
    RUN.attempt2, ..., and begins again; after `most` of those ConfigError is raised.
    """
    folders = [o.partition("=")[2] for o in overrides if key_of(o) == RUN_DIR]
    if len(folders) != 1:
        raise ConfigError(f"{RUN_DIR}=FOLDER must be given once: it is how a run is found again")
    run = RunDir(Path(folders[0]).resolve())
    if not run.path.exists() or (run.path.is_dir() and not any(run.path.iterdir())):
        return list(overrides)
    if (read_json_if_there(run.manifest_path) or {}).get("status") == "finished":
        say(f"{run.path} has finished; nothing to do")
        return None
    if newest_checkpoint(run) is not None:
        return [*overrides, f"{RESUME}=true"]
    earlier = len(list(run.path.parent.glob(f"{run.path.name}.attempt*")))
    if earlier >= most:
        raise ConfigError(
            f"{earlier} attempts at {run.path} ended without a checkpoint (kept beside it as "
            f"{run.path.name}.attempt1, ...); look at {run.log_path}, then delete them or "
            "raise most"
        )
    aside = run.path.with_name(f"{run.path.name}.attempt{earlier + 1}")
    run.path.rename(aside)
    say(f"an attempt without a checkpoint is kept as {aside}")
    return list(overrides)


def attempt(overrides: Sequence[str], most: int) -> int:
    """Becomes `mint.train`, so that signals reach it; returns 0 when nothing is left to do."""
    asked = next_overrides(overrides, most)
    if asked is not None:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "mint.train", *asked])
    return 0
