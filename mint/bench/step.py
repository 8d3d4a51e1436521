"""Training steps of the real stack, read from the metrics that every run writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mint.bench.stats import Step, StepFigures, step_figures
from mint.config import compose, recipes
from mint.rundir.directory import RunDir
from mint.training import pipeline
from rewards.errors import DataError

RECIPE = "mint_tiny"

_PARTS = {
    "generation": "time/generate_s",
    "old log-probabilities": "time/old_log_prob_s",
    "reference": "time/ref_s",
    "group rewards": "time/group_reward_s",
    "advantages": "time/advantage_s",
    "update": "time/update_s",
    "weight push": "time/push_s",
}


def compose_run(overrides: Sequence[str], run_dir: Path, steps: int) -> DictConfig:
    """The demo's configuration for a run of `steps` steps. Raises ConfigError."""
    recipes.register(recipes.find_recipes())
    # The run ends by exporting its last checkpoint; its seconds are taken off that step.
    fixed = [
        f"+recipe={RECIPE}",
        f"trainer.total_training_steps={steps}",
        f"trainer.save_freq={steps}",
        "mint.run.evaluate=false",
    ]
    config = compose.compose_config([*fixed, *overrides])
    compose.finalise(config, recipe=RECIPE, run_dir=str(run_dir))
    return config


def measure(config: DictConfig, overrides: Sequence[str]) -> StepFigures:
    """Run the training of `config` and read off its steps. Raises what a failed run raises."""
    pipeline.run(config, list(overrides))
    rows = RunDir.open(config.mint.run.dir).read_metrics()
    return summarise(rows, f"mint ({config.actor_rollout_ref.actor.fsdp_config.dtype})")


def summarise(rows: Sequence[Mapping[str, Any]], system: str) -> StepFigures:
    """Figures of a run's metrics rows. DataError for fewer than two, or without their numbers."""
    return step_figures(system, rows, _step)


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
