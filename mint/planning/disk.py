"""Disk that a run fills, GiB."""

from __future__ import annotations

from mint.machine.limits import GIB
from mint.planning.items import Item, billions, kept
from mint.planning.memory import trained
from mint.planning.models import ModelShape
from mint.planning.settings import RunSettings

_LOGS_GIB = 1.0
"""Metrics, samples, logs, reports and Ray's own files (estimate)."""


def checkpoint_bytes(run: RunSettings, model: ModelShape) -> float:
    """One checkpoint: weights and Adam in the actor's precision, a critic's, and a model folder if
    asked."""
    count, learned = model.parameters, trained(run, model)
    state = 4 if run.lora_rank else run.actor_bytes
    weights = run.actor_bytes * count + (4 * learned if run.lora_rank else 0)
    adam = 2 * state * learned if run.saves_optimizer else 0
    critic = 12 * count if run.critic else 0
    return float(weights + adam + critic + (2 * count if run.saves_hf else 0))


def disk_items(run: RunSettings, model: ModelShape, steps: int | None) -> tuple[Item, ...]:
    """Checkpoints at the fullest moment, the exported model, logs. `steps`: those of the run."""
    each = checkpoint_bytes(run, model) / GIB
    saved = None if steps is None or run.save_every < 1 else -(-steps // run.save_every)
    kept_at_once, words = _kept(run, saved)
    items = [
        Item("checkpoints", kept_at_once * each, f"{words} x {each:.1f} GiB"),
        Item(
            "exported model",
            4 * model.parameters / GIB,
            f"4 B x {billions(model.parameters)} at most",
        ),
        Item("logs", _LOGS_GIB, "estimate"),
    ]
    return kept(*items)


def _kept(run: RunSettings, saved: int | None) -> tuple[int, str]:
    """Checkpoints that exist at once: old ones go after the next is written."""
    if run.kept is None:
        return saved or 1, f"{saved or 1} (all are kept)"
    most = run.kept + run.keeps_best + 1
    words = f"{run.kept} newest{' + best' if run.keeps_best else ''} + the one being written"
    if saved is not None and saved < most:
        return saved, f"{saved} saved"
    return most, f"({words})"
