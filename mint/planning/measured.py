"""What a run of the same machine says about the speeds: measured over computed seconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from mint.planning import time as step_time
from mint.planning.items import Item

KEYS = {
    step_time.GENERATION: "time/generate_s",
    step_time.OLD: "time/old_log_prob_s",
    step_time.REFERENCE: "time/ref_s",
    step_time.VALUES: "time/values_s",
    step_time.CRITIC: "time/update_critic_s",
    step_time.UPDATE: "time/update_s",
    step_time.PUSH: "time/push_s",
}
"""Part of a step -> its metric."""


class Measured(NamedTuple):
    """Medians over the steps of a run but the first of each start, which warms up."""

    seconds: dict[str, float]
    """Part -> seconds."""
    step: float
    reply_tokens: float
    prompt_tokens: float
    num_steps: int


def read_measured(rows: Sequence[Mapping[str, Any]], starts: Collection[int]) -> Measured | None:
    """From rows of metrics.jsonl; None when no start has two steps with times.

    `starts`: the steps that the run has gone on from, 0 for its beginning.
    """
    timed = [
        row for row in rows if row.get("time/step_s") is not None and row["step"] - 1 not in starts
    ]
    if not timed:
        return None

    def middle(key: str) -> float | None:
        values = [row[key] for row in timed if row.get(key) is not None]
        return float(median(values)) if values else None

    parts = {name: value for name, key in KEYS.items() if (value := middle(key)) is not None}
    return Measured(
        seconds=parts,
        step=middle("time/step_s") or 0.0,
        reply_tokens=middle("reply/response_tokens/mean") or 0.0,
        prompt_tokens=middle("prompt/num_tokens/mean") or 0.0,
        num_steps=len(timed),
    )


def scale_of(measured: Measured, computed: Sequence[Item]) -> dict[str, float]:
    """Part -> measured over computed, for the run that was measured."""
    scale: dict[str, float] = {}
    for item in computed:
        if item.name in measured.seconds and item.value > 0:
            scale[item.name] = measured.seconds[item.name] / item.value
    rest = measured.step - sum(measured.seconds.values())
    other = next((item.value for item in computed if item.name == "other"), 0.0)
    if rest > 0 and other > 0:
        scale["other"] = rest / other
    return scale
