"""The run of `mint watch --demo`: made up by code, going on while one looks. Nothing is trained."""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import OmegaConf

from mint.evaluation.protocols.held_out import write_comparison
from mint.rundir.directory import RunDir
from mint.rundir.manifest import RunFacts, amend_manifest, finish_manifest, start_manifest
from mint.watching.invented import (
    invented_config,
    invented_graders,
    invented_metrics,
    invented_samples,
)
from mint.watching.invented_replies import SETTINGS, invented_replies, write_evaluation

STEPS, AT_ONCE = 40, 8
"""Steps of the run, and those that are over when it is first looked at."""
STEP_S = 3.0


@contextmanager
def going_on(step_s: float = STEP_S) -> Iterator[Path]:
    """The folder of the run, which a thread writes to; it is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="mint-watch-demo-") as folder:
        run = RunDir.create(Path(folder) / "invented-figures")
        shutil.rmtree(run.log_path.parent)
        ended = threading.Event()
        rng = random.Random(3)
        _begin(run)
        for step in range(1, AT_ONCE + 1):
            _step(run, step, rng)
        writer = threading.Thread(target=_go_on, args=(run, rng, ended, step_s), daemon=True)
        writer.start()
        try:
            yield run.path
        finally:
            ended.set()
            writer.join()


def _begin(run: RunDir) -> None:
    config = invented_config()
    config["trainer"]["total_training_steps"] = STEPS
    OmegaConf.save(OmegaConf.create(config), run.config_path)
    start_manifest(
        run,
        RunFacts(
            command=["mint", "watch", "--demo"],
            seeds={"run": 3},
            graders=invented_graders(),
            recipe="invented figures (nothing is trained)",
        ),
    )
    write_evaluation(run, "before", invented_replies(0.15, random.Random(1)))


def _step(run: RunDir, step: int, rng: random.Random) -> None:
    run.append_samples(invented_samples(step, rng))
    run.append_metrics(step, invented_metrics(step, STEPS, rng))


def _go_on(run: RunDir, rng: random.Random, ended: threading.Event, step_s: float) -> None:
    for step in range(AT_ONCE + 1, STEPS + 1):
        if ended.wait(step_s):
            return
        _step(run, step, rng)
    amend_manifest(
        run,
        {
            "export": {"step": STEPS, "which": "last", "reason": "invented", "warning": ""},
            "stopped": None,
        },
    )
    if ended.wait(2 * step_s):
        return
    write_evaluation(run, "after", invented_replies(0.75, random.Random(2)))
    write_comparison(run.evaluation_path, SETTINGS)
    finish_manifest(run)
