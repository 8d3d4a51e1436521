"""Time of a whole run, GPU-hours, money."""

from __future__ import annotations

from mint.planning.disk import checkpoint_bytes
from mint.planning.items import Item, kept, total
from mint.planning.lengths import Lengths
from mint.planning.models import ModelShape
from mint.planning.settings import RunSettings

_GPU_START_S, _CPU_START_S = 250.0, 60.0
_START_S_A_PARAMETER = 25e-9
"""On a GPU machine: 350 s were seen with 4.02 G parameters."""
_DISK_BYTES_S = 1e9
"""Writing a checkpoint (estimate)."""
_HELD_OUT = 1 / 9
"""Held-out rows for each training row where there is no file yet: a tenth of all."""


def run_items(
    run: RunSettings,
    model: ModelShape,
    lengths: Lengths,
    steps: int,
    step: tuple[Item, ...],
    measured_start: float | None,
) -> tuple[Item, ...]:
    """Seconds of the stages of a run of so many steps."""
    each = total(step)
    generation = next(item.value for item in step if item.name == "generation")
    start = _CPU_START_S if run.cpu else _GPU_START_S + model.parameters * _START_S_A_PARAMETER
    how = "Ray, model, vLLM (measured once)"
    if measured_start is not None:
        start, how = measured_start, "as in the measured run"
    saves = 0 if run.save_every < 1 else -(-steps // run.save_every)
    size = checkpoint_bytes(run, model)
    looks = 0 if run.validate_every is None else -(-steps // run.validate_every)
    replies = _evaluation_replies(run, lengths)
    share = max(1.0, (replies or 0) / run.all_replies)
    said = "one generation" if replies is None else f"{replies} replies"
    return kept(
        Item("start", start, how),
        Item("steps", steps * each, f"{steps} x {each:.1f} s"),
        Item(
            "checkpoints",
            saves * size / run.ranks / _DISK_BYTES_S,
            f"{saves} x {size / 1e9:.1f} GB at 1 GB/s a rank",
        ),
        Item("validations", looks * generation, f"{looks} x one generation ({generation:.0f} s)"),
        Item(
            "evaluations",
            2 * share * generation if run.evaluated else 0,
            f"before and after: {said} each",
        ),
    )


def _evaluation_replies(run: RunSettings, lengths: Lengths) -> int | None:
    """Replies of one evaluation; None where the number of prompts is not known."""
    prompts = lengths.held_out
    if prompts is None and lengths.kept is not None:
        prompts = round(lengths.kept * _HELD_OUT)
    known = [n for n in (prompts, run.evaluation_prompts) if n is not None]
    return min(known) * run.evaluation_samples if known else None


def gpu_hours(run: RunSettings, seconds: float) -> float:
    """Hours of all GPUs together."""
    return seconds / 3600 * run.ranks
