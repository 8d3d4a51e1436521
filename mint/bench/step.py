"""Training steps of the real stack, read from the metrics that every run writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from mint.bench.processes import ProcessorTime
from mint.bench.stats import Step, StepFigures, step_figures
from mint.config import compose, recipes
from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there
from mint.training import pipeline
from rewards.errors import DataError
from rewards.precision import resolve_dtype

RECIPES = ("mint_tiny", "mint_smol")
"""What can be measured: recipes for a laptop."""

_PARTS = {
    "generation": "time/generate_s",
    "old log-probabilities": "time/old_log_prob_s",
    "reference": "time/ref_s",
    "group rewards": "time/group_reward_s",
    "advantages": "time/advantage_s",
    "update": "time/update_s",
    "weight push": "time/push_s",
}


def compose_run(
    overrides: Sequence[str], run_dir: Path, steps: int, recipe: str = RECIPES[0]
) -> DictConfig:
    """A recipe's configuration for a run of `steps` steps. Raises ConfigError."""
    recipes.register(recipes.find_recipes())
    # The run ends by exporting its last checkpoint; its seconds are taken off that step.
    fixed = [
        f"+recipe={recipe}",
        f"trainer.total_training_steps={steps}",
        f"trainer.save_freq={steps}",
        "mint.run.evaluate=false",
    ]
    config = compose.compose_config([*fixed, *overrides])
    compose.finalise(config, recipe=recipe, run_dir=str(run_dir))
    return config


class MeasuredRun(NamedTuple):
    """What a run of mint leaves."""

    rows: list[dict[str, Any]]
    """Its metrics."""
    processors: dict[str, float]
    """Kind of process -> processor seconds a step, see `ProcessorTime`."""
    start: float | None
    """Seconds from the start of the training process to the end of the first step."""


def run(config: DictConfig, overrides: Sequence[str]) -> MeasuredRun:
    """Run the training of `config`. Raises what a failed run raises."""
    folder = RunDir(Path(config.mint.run.dir))
    with ProcessorTime(lambda: len(folder.read_metrics())) as processors:
        pipeline.run(config, list(overrides))
    manifest = read_json_if_there(folder.manifest_path) or {}
    phases = manifest.get("start_s") or {}
    start = sum(map(float, phases.values())) if phases else None
    return MeasuredRun(folder.read_metrics(), processors.a_step(), start)


def processor_seconds(runs: Sequence[MeasuredRun]) -> dict[str, float]:
    """Kind of process -> processor seconds a step, the mean of the runs."""
    kinds = sorted({kind for run in runs for kind in run.processors})
    return {k: sum(run.processors.get(k, 0.0) for run in runs) / len(runs) for k in kinds}


def figures(runs: Sequence[MeasuredRun], config: DictConfig) -> StepFigures:
    """One or more runs of the same work as one column."""
    system = f"mint ({resolve_dtype(str(config.actor_rollout_ref.rollout.dtype))})"
    return summarise([run.rows for run in runs], system)


def summarise(runs: Sequence[Sequence[Mapping[str, Any]]], system: str) -> StepFigures:
    """Figures of runs' metrics rows. DataError for fewer than two, or without their numbers."""
    return step_figures(system, runs, _step)


def _step(row: Mapping[str, Any]) -> Step:
    """One step without its checkpoint; the part "other" completes it."""
    parts = {name: _number(row, key) for name, key in _PARTS.items() if key in row}
    if "advantages" in parts and "group rewards" in parts:
        parts["advantages"] -= parts["group rewards"]  # measured within
    checkpoint = _number(row, "time/checkpoint_s") if "time/checkpoint_s" in row else 0.0
    whole = _number(row, "time/step_s") - checkpoint
    return Step(
        seconds=whole,
        parts={**parts, "other": whole - sum(parts.values())},
        replies=_number(row, "reply/num"),
        reply_tokens=_number(row, "reply/response_tokens/mean"),
        reward=_number(row, "reward/raw/mean"),
        overlapping={"graders, during generation": _number(row, "time/grade_busy_s")},
    )


def _number(row: Mapping[str, Any], key: str) -> float:
    value = row.get(key)
    if value is None:
        raise DataError(f"step {row['step']} of the run has no {key}")
    return float(value)
