"""Training steps of the real stack, read from the metrics that every run writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mint.bench.stats import Spread, StepFigures, rates, spread
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
_GRADERS = "graders, during generation"


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
    """Figures of a run's metrics rows, the first left out: it warms caches up.

    DataError when fewer than two steps were logged or a row lacks its time.
    """
    if len(rows) < 2:
        raise DataError(f"a measurement needs 2 steps or more, the run logged {len(rows)}")
    measured = [_seconds_of(row) for row in rows[1:]]
    names = list(measured[0])
    steps = [sum(seconds.values()) for seconds in measured]
    lengths = [_number(row, "reply/response_tokens/mean") for row in rows[1:]]
    replies = [_number(row, "reply/num") for row in rows[1:]]
    both = [rates(n, t, s) for n, t, s in zip(replies, lengths, steps, strict=True)]
    return StepFigures(
        system=system,
        parts={name: spread([seconds[name] for seconds in measured]) for name in names},
        overlapping=_overlapping(rows[1:]),
        step=spread(steps),
        replies_per_s=spread([rate[0] for rate in both]),
        tokens_per_s=spread([rate[1] for rate in both]),
        reply_tokens=spread(lengths),
        reward=spread([_number(row, "reward/raw/mean") for row in rows[1:]]),
    )


def _seconds_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Part -> seconds of one step without its checkpoint; "other" completes the step."""
    seconds = {name: _number(row, key) for name, key in _PARTS.items() if key in row}
    if "advantages" in seconds and "group rewards" in seconds:
        seconds["advantages"] -= seconds["group rewards"]  # measured within
    checkpoint = _number(row, "time/checkpoint_s") if "time/checkpoint_s" in row else 0.0
    seconds["other"] = _number(row, "time/step_s") - checkpoint - sum(seconds.values())
    return seconds


def _overlapping(rows: Sequence[Mapping[str, Any]]) -> dict[str, Spread]:
    return {_GRADERS: spread([_number(row, "time/grade_busy_s") for row in rows])}


def _number(row: Mapping[str, Any], key: str) -> float:
    if key not in row or row[key] is None:
        raise DataError(f"step {row['step']} of the run has no {key}")
    return float(row[key])
