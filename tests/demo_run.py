"""A complete run directory made up by code: what training and evaluation would have written."""

from __future__ import annotations

import random
from pathlib import Path

from omegaconf import OmegaConf

from mint.evaluation.protocols.held_out import write_comparison
from mint.evaluation.records import EvaluatedReply
from mint.rundir.directory import RunDir
from mint.rundir.manifest import RunFacts, finish_manifest, start_manifest
from mint.watching.invented import (
    invented_config,
    invented_graders,
    invented_metrics,
    invented_samples,
)
from mint.watching.invented_replies import SETTINGS, invented_replies
from mint.watching.invented_replies import write_evaluation as _write_evaluation

NUM_STEPS = 24
HOSTILE = '<script>alert("x")</script> & <img src="http://example.com/x.png" onerror=alert(1)>'


def make_run(path: Path, steps: int = NUM_STEPS, evaluated: bool = True) -> RunDir:
    """A finished run at `path`; without held-out evaluation when `evaluated` is false."""
    run = RunDir.create(path)
    rng = random.Random(3)
    OmegaConf.save(OmegaConf.create(invented_config()), run.config_path)
    data = path / "val.parquet"
    data.write_bytes(b"held-out rows")
    start_manifest(
        run,
        RunFacts(
            command=["python", "-m", "mint.train", "+recipe=mint_tiny"],
            seeds={"run": 0, "data": 0, "policy": 0, "evaluation": 42},
            data_files=[data],
            graders=invented_graders(),
            recipe="mint_tiny",
        ),
    )
    for step in range(1, steps + 1):
        run.append_metrics(step, invented_metrics(step, steps, rng))
        run.append_samples(invented_samples(step, rng))
    if evaluated:
        for label, variety, seed in (("before", 0.15, 1), ("after", 0.75, 2)):
            _write_evaluation(run, label, replies(variety, random.Random(seed)))
        write_comparison(run.evaluation_path, SETTINGS)
    finish_manifest(run)
    return run


def replies(variety: float, rng: random.Random) -> list[EvaluatedReply]:
    """Replies to 24 conversations, one of them hostile; the larger `variety`, in [0, 1], the fewer
    tactics repeat."""
    return invented_replies(variety, rng, {(2, 1, 0): HOSTILE})
