"""What the check demands of a run's metrics, and what it prints about them. Needs no GPU."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

PEARSON = 0.99
PARTS = ("generate", "old_log_prob", "ref", "advantage", "update", "push")
REQUIRED = (
    *("time/step_s", *(f"time/{part}_s" for part in PARTS)),
    *("policy/loss", "policy/kl_loss", "policy/grad_norm", "policy/entropy"),
    *("policy/log_prob_pearson", "memory/trainer_gb"),
    *("throughput/tokens_per_s", "throughput/replies_per_s"),
    *("reward/raw/mean", "group/num", "grader/num_failed", "reply/response_tokens/mean"),
)
"""Keys that every step must have, finite."""
PEAK_FLOPS = {
    "B200": 2.25e15,
    "H200": 9.89e14,
    "H100": 9.89e14,
    "A100": 3.12e14,
    "L40S": 3.62e14,
}
"""Dense bfloat16 operations a second of a GPU, by a part of its name."""
Row = Mapping[str, Any]


def problems(
    rows: Sequence[Row], steps: int, peak_gib: float | None, planned_gib: float | None
) -> list[str]:
    """What is wrong with a run of `steps` steps; [] when nothing is.

    `peak_gib`: most memory that was in use on the GPU; `planned_gib`: what mint.plan says.
    """
    found = []
    seen = [row.get("step") for row in rows]
    if seen != list(range(1, steps + 1)):
        found.append(f"the metrics have steps {seen}, not 1 to {steps}")
    for row in rows:
        lacking = [key for key in REQUIRED if not _finite(row.get(key))]
        if lacking:
            found.append(f"step {row.get('step')} has no finite {', '.join(lacking)}")
        pearson = row.get("policy/log_prob_pearson")
        if _finite(pearson) and pearson <= PEARSON:
            found.append(
                f"step {row.get('step')}: rollout and trainer probabilities agree with Pearson "
                f"{pearson:.4f}, needed is more than {PEARSON}"
            )
        if not any(str(key).startswith("val/") for key in row):
            found.append(f"step {row.get('step')} was not validated")
    if rows and not any((row.get("policy/grad_norm") or 0) > 0 for row in rows):
        found.append("the gradient norm is 0 in every step: nothing was learnt from")
    if peak_gib is not None and planned_gib is not None and peak_gib > planned_gib:
        found.append(f"{peak_gib:.1f} GiB were in use on the GPU, mint.plan says {planned_gib:.1f}")
    return found


def report(
    rows: Sequence[Row],
    *,
    shape: str,
    parameters: int,
    gpu: str,
    peak_gib: float | None,
    planned_gib: float | None,
) -> list[str]:
    """Step split, speed and memory of the second step, which is warm: the third is the first one of
    a process that resumes. One line each."""
    last = rows[:2][-1]
    split = "  ".join(f"{part} {_number(last.get(f'time/{part}_s'))}" for part in PARTS)
    known = [last.get(f"time/{part}_s") for part in PARTS]
    if all(map(_finite, known)):
        split += f"  rest {_number(last['time/step_s'] - sum(known))}"
    mfu = update_mfu(last, parameters, gpu)
    lines = [
        f"{shape} ({parameters / 1e6:,.1f} M parameters) on {gpu}",
        f"step {last.get('step')}: {_number(last.get('time/step_s'))} s = {split}",
        f"tokens a second {_number(last.get('throughput/tokens_per_s'))}, replies a second "
        f"{_number(last.get('throughput/replies_per_s'))}",
        f"MFU of the update {'unknown for this device' if mfu is None else f'{mfu:.3f}'}",
        f"Pearson {min(float(row.get('policy/log_prob_pearson') or 0) for row in rows):.5f}",
    ]
    memory = f"peak memory: trainer {_number(last.get('memory/trainer_gb'))} GB"
    if peak_gib is not None:
        memory += f", GPU {peak_gib:.1f} GiB"
    if planned_gib is not None:
        memory += f", planned {planned_gib:.1f} GiB"
    return [*lines, memory]


def update_mfu(row: Row, parameters: int, gpu: str) -> float | None:
    """Share of the GPU's arithmetic that the update used: 6 operations a parameter and token,
    recomputation not counted. None where the GPU's peak or a figure is not known."""
    peak = next((flops for name, flops in PEAK_FLOPS.items() if name in gpu), None)
    tokens_a_second, step_s = row.get("throughput/tokens_per_s"), row.get("time/step_s")
    update_s = row.get("time/update_s")
    if peak is None or not (tokens_a_second and step_s and update_s):
        return None
    return float(6 * parameters * tokens_a_second * step_s / update_s / peak)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _number(value: Any) -> str:
    return f"{value:.2f}" if _finite(value) else "?"
