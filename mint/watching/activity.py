"""What a run does now, since when, and how long it will take: read from what its files say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from mint.reporting.data import ReportData
from mint.reporting.tuning import is_tuned
from mint.rundir.manifest import attempts_of
from mint.verl.phases import PHASES

RECENT = 20
"""Steps that figures of the last steps are made of."""
_ORDER = tuple(PHASES)


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What a run does now. Times are seconds since 1970."""

    said: str
    since: float | None
    """When it began; None when that is not known."""
    running: bool
    step: int
    """Last step that is over; 0 before the first."""
    total: int
    """Steps that the run is meant to make; 0 when that is not known."""
    step_s: float | None = None
    """From the end of a step to that of the next, validation and checkpoints included: mean of the
    last ones; None before there are two."""
    usual_s: float | None = None
    """The same as the median, which a rare validation does not move."""
    last_step: float | None = None
    """When the last step of this start ended."""
    training: bool = False
    """Whether it is between two steps."""

    @property
    def left_s(self) -> float | None:
        """Time until the last step; None when it cannot be told."""
        if not self.training or self.step_s is None or not self.total:
            return None
        return max(0, self.total - self.step) * self.step_s


def activity_of(data: ReportData, phases: Sequence[Mapping[str, Any]]) -> Activity:
    """`phases`: rows of logs/start.jsonl."""
    total = data.setting("trainer.total_training_steps")
    step = data.steps[-1] if data.metrics else 0
    about: dict[str, Any] = {"step": step, "total": int(total) if total else 0}
    manifest = data.manifest
    if manifest is None:
        return Activity(said="No manifest yet", since=None, running=False, **about)
    if manifest["status"] != "running":
        said = {"finished": "Finished", "saved": "Saved and ended, as asked"}
        ended = moment(manifest["finished"])
        first = said.get(manifest["status"], f"Ended: {manifest['status']}")
        return Activity(said=first, since=ended, running=False, **about)
    began = moment(attempts_of(manifest)[-1]["started"])
    times = [t for row in data.metrics if (t := moment(row.get("time"))) and t >= (began or 0)]
    about |= {"running": True, **_pace(times), "last_step": times[-1] if times else None}
    if not times:
        return _before_steps(data, phases, began, about)
    if (about["total"] and step >= about["total"]) or manifest.get("stopped"):
        return _after_steps(data, manifest, times[-1], about)
    following = f"Training step {step + 1}" + (f" of {total}" if total else "")
    return Activity(said=following, since=times[-1], training=True, **about)


def _pace(times: Sequence[float]) -> dict[str, float | None]:
    gaps = [b - a for a, b in pairwise(times[-RECENT - 1 :])]
    if not gaps:
        return {}
    return {"step_s": fmean(gaps), "usual_s": median(gaps)}


def _before_steps(
    data: ReportData,
    phases: Sequence[Mapping[str, Any]],
    began: float | None,
    about: Mapping[str, Any],
) -> Activity:
    over = [row for row in phases if row.get("phase") in PHASES and _is_after(row, began)]
    if not over:
        evaluates = data.setting("mint.run.evaluate") is not False and data.before is None
        evaluates = evaluates and not is_tuned(data)
        said = "Evaluating the policy before training" if evaluates else "Starting to train"
        return Activity(said=said, since=began, **about)
    following = dict(pairwise(_ORDER)).get(over[-1]["phase"], _ORDER[-1])
    said = (
        f"Starting, {len(over)} of {len(_ORDER)} phases are over; next: {PHASES[following].words}"
    )
    return Activity(said=said, since=float(over[-1]["at"]), **about)


def _is_after(row: Mapping[str, Any], began: float | None) -> bool:
    # The manifest has whole seconds.
    return isinstance(row.get("at"), int | float) and row["at"] >= (began or 0) - 1


def _after_steps(
    data: ReportData, manifest: Mapping[str, Any], last: float, about: Mapping[str, Any]
) -> Activity:
    if "export" not in manifest:
        said = "All steps are over; saving the model"
    elif data.after is None and data.setting("mint.run.evaluate") is not False:
        said = "Evaluating the trained policy"
    else:
        said = "Writing the report"
    return Activity(said=said, since=last, **about)


def moment(said: Any) -> float | None:
    """Seconds since 1970 of an ISO time; None for anything else."""
    try:
        return datetime.fromisoformat(said).timestamp()
    except (TypeError, ValueError):
        return None
