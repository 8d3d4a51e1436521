"""`python -m mint.bench`: training steps, the graders, a bootstrap, and TRL on the same work."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mint.bench import bootstrap, graders, machine, step, table, trl
from mint.bench.stats import StepFigures
from mint.bench.work import matrix_rate, work_of
from mint.config.rules import POSITIVE, Rule, check, one_of
from mint.config.schema import mint_config
from mint.shell import cli
from mint.shell.console import say
from mint.shell.files import utc_now, write_text_atomic
from mint.training import material

PARTS = ("all", "step", "graders", "bootstrap", "trl")


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Measures mint on this machine: `python -m mint.bench [part=...] [steps=...]`.

    step       the demo's training, part by part
    graders    tagging, judging, and grading a training step
    bootstrap  a paired bootstrap of two systems, against a plain Python loop
    trl        the demo's training done by TRL (installed in an environment of its own if needed)
    all        these four, and how TRL's step compares with mint's: the two take turns

    Leave the machine alone meanwhile. Prints tables and writes outputs/bench/<date>.json.
    """

    part: str = "all"
    """all, step, graders, bootstrap or trl."""
    recipe: str = step.RECIPES[0]
    """Which training: mint_tiny or mint_smol."""
    steps: int = 6
    """Training steps of mint and of TRL; the first warms up and does not count."""
    rounds: int = 1
    """So many runs of mint and of TRL, in turn; their steps count together."""
    keep: bool = False
    """Keep the run directory and logs in outputs/bench/<date>/."""
    overrides: list[str] = field(default_factory=list)
    """More keys for the training run, as for mint.train: [data.train_batch_size=4,...]."""
    output: str = "outputs/bench"
    """Where results go."""
    venv: str = ".venv-trl"
    """TRL's environment."""
    upstream: str = ""
    """Checkout of the official repository for the bootstrap's systems; made-up ones when empty."""

    def __post_init__(self) -> None:
        enough = Rule(">= 2 (the first one warms up)", lambda steps: steps >= 2)
        rules = {"part": one_of(*PARTS), "recipe": one_of(*step.RECIPES), "rounds": POSITIVE}
        check(self, {**rules, "steps": enough})


def main(settings: BenchConfig) -> int:
    """Measure, print, write; exit status 0."""
    when = datetime.now().astimezone()
    facts = machine.facts()
    results = Path(settings.output).resolve()
    work = results / f"{when:%Y-%m-%d_%H-%M-%S}"
    configs = [
        step.compose_run(settings.overrides, work / f"run-{turn}", settings.steps, settings.recipe)
        for turn in range(1, settings.rounds + 1)
    ]
    note = machine.busy_note(facts["cores"])
    if note:
        say(note)
    report: dict[str, Any] = {
        "date": utc_now(),
        "command": " ".join(["python -m mint.bench", *sys.argv[1:]]),
        "machine": facts,
        "steps": settings.steps,
        "load_at_start": machine.load(),
    }
    started = time.monotonic()
    lines = _measure(settings, configs, work, report)
    for line in [*table.header(report), *lines]:
        say(line)
    path = results / f"{work.name}.json"
    write_text_atomic(path, as_text(report))
    if not settings.keep:
        shutil.rmtree(work, ignore_errors=True)
    say(f"written to {path} after {(time.monotonic() - started) / 60:.1f} min")
    return 0


def _measure(
    settings: BenchConfig, configs: Sequence[DictConfig], work: Path, report: dict[str, Any]
) -> list[str]:
    """Run the parts asked for, add their figures to `report`; returns the tables."""
    mint = mint_config(configs[0])
    wanted = PARTS[1:] if settings.part == "all" else (settings.part,)
    lines, columns = _steps(settings, configs, work, report, wanted)
    if "graders" in wanted:
        report["graders"] = graders.measure(mint)
        lines += ["", *table.grader_table(report["graders"])]
    if "bootstrap" in wanted:
        report["bootstrap"] = bootstrap.measure(settings.upstream)
        lines += ["", *table.bootstrap_table(report["bootstrap"])]
    if columns:
        lines = ["", *table.step_table(columns), *lines]
    if settings.part == "all":
        best = report["trl"][0]
        report["trl_step_over_mint_step"] = best.step.median / report["step"].step.median
        lines += ["", table.ratio_line(report["step"], best)]
    return lines


def _steps(
    settings: BenchConfig,
    configs: Sequence[DictConfig],
    work: Path,
    report: dict[str, Any],
    wanted: Sequence[str],
) -> tuple[list[str], list[StepFigures]]:
    """Runs of mint and of TRL in turn: (lines about mint's, columns of the step's table)."""
    # First, so that a failed installation does not cost the minutes of the other parts.
    python = trl.ensure_environment(Path(settings.venv).resolve()) if "trl" in wanted else None
    ours, theirs = [], []
    for turn, config in enumerate(configs, start=1):
        if "step" in wanted:
            ours.append(step.run(config, settings.overrides))
        if python is not None:
            mint = mint_config(config)
            material.build(config, mint)
            spec = trl.make_spec(config, mint, settings.steps)
            theirs.append(trl.run(spec, python, work / f"trl-{turn}"))
    lines: list[str] = []
    columns: list[StepFigures] = []
    if ours:
        report["step"] = step.figures(ours, configs[0])
        report["processors"] = step.processor_seconds(ours)
        report["start_s"] = [run.start for run in ours]
        rows = [row for run in ours for row in run.rows[1:]]
        report["work"] = work_of(rows, configs[0], matrix_rate())
        columns.append(report["step"])
        lines += table.work_lines(
            report["step"], report["processors"], report["work"], report["start_s"]
        )
    if theirs:
        report["trl"] = trl.figures(theirs)
        columns += report["trl"]
    return lines, columns


def as_text(report: dict[str, Any]) -> str:
    """The report as indented JSON; figures are objects, so that the file explains itself."""
    return json.dumps(report, indent=2, default=asdict) + "\n"


if __name__ == "__main__":
    sys.exit(cli.run(BenchConfig, main))
