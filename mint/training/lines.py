"""What a person reads of a training run: one line a step, one a validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mint.validation.choice import Validation
from mint.validation.collapse import ALARM, KEYS
from mint.verl.updates import SKIPPED

EMOTION = "dialogue/emotion/mean"


def format_step(row: Mapping[str, Any], total_steps: int, elapsed_s: float) -> str:
    """A step's metrics on one line; a number that does not exist is shown as "-"."""
    step = int(row["step"])
    of = f"/{total_steps}" if total_steps else ""
    first = [f"reward {_number(row, 'reward/raw/mean', '.3f')}"]
    if "dialogue/num" in row:
        first = [
            f"emotion {_number(row, 'dialogue/emotion/mean', '.1f')}",
            f"success {_number(row, 'dialogue/satisfied_frac', '.0%')}",
            f"failure {_number(row, 'dialogue/despaired_frac', '.0%')}",
            f"turns {_number(row, 'dialogue/turns/mean', '.1f')}",
        ]
    parts = [
        f"step {step:>3}{of}",
        f"{_number(row, 'time/step_s', '.1f')} s",
        *first,
        f"quality {_number(row, 'reward/quality/mean', '.3f')}",
        f"novelty {_number(row, 'reward/kl/mean', '.2f')}",
        f"tactics {_number(row, 'tactics_per_reply/mean', '.1f')}",
        f"tokens {_number(row, 'reply/num_tokens/mean', '.0f')}",
        f"distance {_number(row, 'policy/kl_loss', '.3f')}",
        f"agreement {_number(row, 'policy/log_prob_pearson', '.4f')}",
    ]
    if failed := row.get("grader/num_failed"):
        parts.append(f"NOT GRADED {failed:.0f}")
    if lost := row.get("dialogue/lost_frac"):
        parts.append(f"LOST {lost:.0%}")
    parts.append(f"elapsed {_minutes(elapsed_s)}")
    if row.get("time/step_s") is not None and step < total_steps:
        parts.append(f"left {_minutes(row['time/step_s'] * (total_steps - step))}")
    return "  ".join(parts)


def format_validation(validation: Validation, best_step: int | None) -> list[str]:
    """A validation on one line, and one more for each limit that is not kept."""
    metrics = validation.metrics
    parts = [
        f"validation at step {validation.step}:",
        f"score {_number({'score': validation.score}, 'score', '.3f')}",
        *([f"emotion {_number(metrics, EMOTION, '.1f')}"] if EMOTION in metrics else []),
        f"empathy {_number(metrics, 'empathy', '.2f')}",
        f"lift {_number(metrics, 'lift', '.2f')}",
        f"own repetition {_number(metrics, 'self_stickiness', '.2f')}",
        f"opening {_number(metrics, 'top_opening', '.0%')}",
        f"probes {_number(metrics, 'probe/all', '.0%')}",
        f"best so far: {'none keeps the limits' if best_step is None else f'step {best_step}'}",
    ]
    return ["  ".join(parts), *(f"  limit: {line}" for line in validation.broken)]


def format_alarms(row: Mapping[str, Any], on_before: frozenset[str]) -> list[str]:
    """A line for each collapse alarm that has come on in this step, and for a skipped update."""
    skipped = row.get(SKIPPED) or 0
    lines = [
        f"WARNING: step {row['step']}: the gradient is not a finite number, the update was skipped "
        f"({skipped:.0f} in a row; see mint.run.max_skipped_updates)"
    ]
    return lines[: bool(skipped)] + [
        f"WARNING: collapse alarm at step {row['step']}: {name} "
        f"({key} {_number(row, key, '.3f')}; see mint.collapse)"
        for key, name in KEYS.items()
        if name in alarms_on(row) - on_before
    ]


def alarms_on(row: Mapping[str, Any]) -> frozenset[str]:
    """Names of the collapse alarms that are on in a row of metrics.jsonl."""
    return frozenset(name for name in KEYS.values() if row.get(f"{ALARM}{name}"))


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def _number(row: Mapping[str, Any], key: str, form: str) -> str:
    value = row.get(key)
    return "-" if value is None else format(value, form)
