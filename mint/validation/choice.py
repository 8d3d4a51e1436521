"""Which validated step is best, and whether to go on: pure functions of the validations so far.

Nothing is remembered beside the validations themselves, so a run that is continued decides as if
it had never been interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mint.config.validation import HABIT, QualityLimits, ValidationConfig
from rewards.errors import DataError

_OTHER_NAMES = {
    "entropy": "policy_entropy",
    **{
        name: f"{HABIT}{name}"
        for name in ("lived_experience", "questions", "num_words", "emoji", "markdown")
    },
}


@dataclass(frozen=True, kw_only=True)
class Validation:
    """One validation; a line of RUN/validation.jsonl."""

    step: int
    metrics: Mapping[str, float | None]
    """Metric -> value; None where it is undefined."""
    score: float | None
    """The stated composite; None when one of its metrics is undefined."""
    broken: tuple[str, ...] = ()
    """The limits that are not kept, a line each."""

    @property
    def admissible(self) -> bool:
        """Whether the step may be chosen."""
        return self.score is not None and not self.broken

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Validation:
        """Inverse of `as_row`. Raises DataError for anything else."""
        try:
            return cls(**{**row, "broken": tuple(row["broken"])})
        except (KeyError, TypeError) as error:
            raise DataError(
                f"a validation needs step, metrics, score and broken: {error}"
            ) from error

    def as_row(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def assess(
    step: int,
    metrics: Mapping[str, float | None],
    broken_safety: Sequence[str],
    settings: ValidationConfig,
) -> Validation:
    """Score and limits of one validation."""
    return Validation(
        step=step,
        metrics=dict(metrics),
        score=composite(metrics, settings.choose),
        broken=(*broken_limits(metrics, settings.limits), *broken_safety),
    )


def composite(metrics: Mapping[str, float | None], weights: Mapping[str, float]) -> float | None:
    """Sum of weight x metric; None when a metric with a weight is undefined.

    >>> composite({"empathy": 4.0, "self_stickiness": 0.5}, {"empathy": 1, "self_stickiness": -2})
    3.0
    """
    values = {name: metrics.get(name) for name, weight in weights.items() if weight}
    known = {name: value for name, value in values.items() if value is not None}
    if known != values:
        return None
    return float(sum(weights[name] * value for name, value in known.items()))


def broken_limits(metrics: Mapping[str, float | None], limits: QualityLimits) -> list[str]:
    """One line for each limit that is not kept; a metric that is undefined keeps no limit."""
    lines = []
    for name, limit in asdict(limits).items():
        if limit is None:
            continue
        kind, _, rest = name.partition("_")
        metric = _OTHER_NAMES.get(rest, rest)
        value = metrics.get(metric)
        if value is None:
            lines.append(f"{metric} is undefined, {name} is {limit:g}")
        elif (value > limit) if kind == "max" else (value < limit):
            lines.append(f"{metric} {value:.3f}, {name} is {limit:g}")
    return lines


def best(validations: Sequence[Validation]) -> Validation | None:
    """The admissible step with the largest score, the first of equals; None when there is none."""
    return _largest([v for v in validations if v.admissible])


def without_gain(validations: Sequence[Validation]) -> int:
    """Validations since the best step; while none is admissible, since the largest score."""
    chosen = best(validations) or _largest([v for v in validations if v.score is not None])
    if chosen is None:
        return len(validations)
    return sum(validation.step > chosen.step for validation in validations)


def stop_reason(validations: Sequence[Validation], patience: int | None) -> str:
    """Why training should end early; "" when it may go on."""
    waited = without_gain(validations)
    if patience is None or waited < patience:
        return ""
    chosen = best(validations)
    since = f"since step {chosen.step}" if chosen is not None else "that keeps the limits"
    return (
        f"step {validations[-1].step}: {waited} validations in a row without a better step {since} "
        f"(mint.validation.patience={patience})"
    )


def explain(validations: Sequence[Validation], settings: ValidationConfig) -> dict[str, Any]:
    """Content of RUN/best.json: the chosen step and why, and all validations in short."""
    chosen = best(validations)
    formula = " ".join(f"{w:+g} × {name}" for name, w in settings.choose.items() if w)
    if chosen is not None:
        kept = sum(v.admissible for v in validations)
        reason = (
            f"largest {formula} of the {kept} out of {len(validations)} validated steps that keep "
            "the limits"
        )
    else:
        broken = sorted(
            {line.partition(" ")[0].rstrip(":") for v in validations for line in v.broken}
        )
        reason = (
            f"none of {len(validations)} validated steps keeps the limits "
            f"(broken: {', '.join(broken) or 'the score is undefined'})"
        )
    shown = ("step", "score", "metrics")
    return {
        **{name: getattr(chosen, name, None) for name in shown},
        "reason": reason,
        "choose": dict(settings.choose),
        "limits": {
            "quality": {k: v for k, v in asdict(settings.limits).items() if v is not None},
            "safety": asdict(settings.safety) if settings.probes_per_category else None,
        },
        "validations": [
            {"step": v.step, "score": v.score, "admissible": v.admissible, "broken": list(v.broken)}
            for v in validations
        ],
    }


def _largest(validations: Sequence[Validation]) -> Validation | None:
    if not validations:
        return None
    return max(validations, key=lambda v: (v.score if v.score is not None else 0.0, -v.step))
