"""Start or resume: what a scheduler may call again and again for one and the same run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mint.config.changes import RESUME, RUN_DIR
from mint.config.continuing import key_of
from mint.rundir.directory import RunDir
from mint.rundir.manifest import attempts_of, read_manifest
from mint.shell.console import say
from mint.verl.checkpoint import newest_checkpoint
from rewards.errors import ConfigError


def next_overrides(overrides: Sequence[str], most: int) -> list[str] | None:
    """What mint.train is to be given now; None when the run has finished.

    A run that has begun is resumed, also one without a checkpoint. Raises ConfigError after `most`
    attempts without any: something else is wrong then.
    """
    folders = [o.partition("=")[2] for o in overrides if key_of(o) == RUN_DIR]
    if len(folders) != 1:
        raise ConfigError(f"{RUN_DIR}=FOLDER must be given once: it is how a run is found again")
    run = RunDir(Path(folders[0]).resolve())
    if not run.is_begun:
        return list(overrides)
    manifest = read_manifest(run)
    if manifest["status"] == "finished":
        say(f"{run.path} has finished; nothing to do")
        return None
    if newest_checkpoint(run) is None and (made := len(attempts_of(manifest))) >= most:
        raise ConfigError(
            f"{made} attempts at {run.path} ended without a checkpoint; look at {run.log_path}, "
            "then raise most or choose another folder"
        )
    return [*overrides, f"{RESUME}=true"]


def attempt(overrides: Sequence[str], most: int) -> int:
    """Becomes `mint.train`, so that signals reach it; returns 0 when nothing is left to do."""
    asked = next_overrides(overrides, most)
    if asked is not None:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "mint.train", *asked])
    return 0
