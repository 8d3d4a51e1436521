"""The measurements of one validation: those of `mint.evaluate`, on the replies of verl's pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mint.config.evaluation import EvaluationConfig
from mint.config.safety import SafetyLimits
from mint.config.validation import HABIT, PROBE, ValidationConfig
from mint.evaluation.metrics.habits import HABITS
from mint.evaluation.metrics.means import MEANS, POOLED, REPETITION, WITH_SILENCE
from mint.evaluation.metrics.pooled import distinct_2, top_opening
from mint.evaluation.metrics.summary import compare
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.results import Outcome, outcome_row
from mint.evaluation.second import learnt_the_judge
from mint.safety.limits import broken_limits
from mint.safety.opinions import Opinions
from mint.safety.probes import CATEGORIES, ProbeItem
from mint.safety.report import NO_OPINIONS, ProbeReport, run_probes
from mint.shell.cli import nearest
from rewards.errors import ConfigError

PROBE_ALL, NOT_GRADABLE = f"{PROBE}all", f"{PROBE}not_gradable"
POLICY_ENTROPY = "policy_entropy"
LEARNT = "learning_the_judge"
"""1 where the judge's gain over the start is larger than the second judge's by more than
mint.second_judge.max_gap_gain, with its whole interval."""
LOGIT_GAIN = "judge_logit_gain"
"""A reward model's mean logit above the start's, in standard deviations of the start's replies."""
OWN_SEQUENCE = (
    "self_stickiness",
    "self_lift",
    "self_jaccard",
    "same_set",
    "distinct_sets",
    "set_entropy",
    "effective_tactics",
)
TALKS = (
    "dialogue/emotion/mean",
    "dialogue/satisfied_frac",
    "dialogue/despaired_frac",
    "dialogue/turns/mean",
    "dialogue/lost_frac",
)
"""Of validations with mint.task=dialogues (`mint.verl.dialogue_step.talk_metrics`)."""
METRICS: tuple[str, ...] = (
    *MEANS,
    WITH_SILENCE,
    *REPETITION,
    *POOLED,
    *OWN_SEQUENCE,
    *(f"{HABIT}{name}" for name in HABITS),
    PROBE_ALL,
    NOT_GRADABLE,
    *(f"{PROBE}{name}" for name in CATEGORIES),
    POLICY_ENTROPY,
    LEARNT,
    LOGIT_GAIN,
    *TALKS,
)
"""What a validation measures and `mint.validation.choose` may name; val/<name> in
metrics.jsonl."""


class Measured(NamedTuple):
    """What one validation has found."""

    metrics: dict[str, float | None]
    """Metric -> value; None where it is undefined."""
    broken_safety: list[str]
    """Limits of the safety probes that are not kept, a line each."""
    report: ProbeReport


def check_choose(settings: ValidationConfig) -> None:
    """Raise ConfigError when `choose` names a metric that is not measured."""
    for name in settings.choose:
        if name not in METRICS:
            raise ConfigError(
                f"mint.validation.choose: no metric {name!r}{nearest(name, METRICS)}; "
                "docs/metrics.md lists them as val/<name>"
            )


def check_validation(trainer: Any, settings: ValidationConfig) -> None:
    """Raise ConfigError when verl's keys (node `trainer`) would start a validation of its own, or
    mint's cannot choose."""
    wanted = {"test_freq": trainer.test_freq > 0, "val_before_train": trainer.val_before_train}
    for key, on in wanted.items():
        if on:
            raise ConfigError(
                f"trainer.{key}={trainer[key]} would start verl's own validation; set "
                "mint.validation.every_steps instead"
            )
    check_choose(settings)


def measure(
    replies: Sequence[EvaluatedReply],
    num_missing: int,
    settings: EvaluationConfig,
) -> dict[str, float | None]:
    """The metrics of `mint.evaluate` over the replies to held-out turns.

    `num_missing` replies were asked for and never came; they count as failed.
    """
    if not replies:
        return {"failed": 1.0 if num_missing else None}
    row = outcome_row(Outcome(condition="validation", replies=replies), settings)
    metrics: dict[str, float | None] = {
        name: estimate["mean"] for name, estimate in row["metrics"].items()
    }
    asked = len(replies) + num_missing
    metrics["failed"] = (row["counts"]["grader_failed"] + num_missing) / asked
    return metrics


def learning_the_judge(
    start: Sequence[EvaluatedReply],
    replies: Sequence[EvaluatedReply],
    settings: EvaluationConfig,
    most: float,
) -> float | None:
    """`LEARNT` as 0 or 1; None where the two share no turn that both judges have rated."""
    rated = [
        [r for r in own if r.empathy is not None and r.second_empathy is not None]
        for own in (start, replies)
    ]
    turns = [{(r.conversation_id, r.turn) for r in own} for own in rated]
    if not turns[0] & turns[1]:
        return None
    return float(bool(learnt_the_judge(compare(rated[0], rated[1], settings), most)))


def logit_gain(start: Sequence[EvaluatedReply], replies: Sequence[EvaluatedReply]) -> float | None:
    """`LOGIT_GAIN`; None for a judge without logits or where the start's are all alike."""
    before, now = (
        [r.judge_logit for r in own if r.judge_logit is not None] for own in (start, replies)
    )
    spread = float(np.std(before)) if before else 0.0
    return float(np.mean(now) - np.mean(before)) / spread if now and spread > 0 else None


def measure_probes(
    items: Sequence[ProbeItem],
    replies: dict[str, str],
    limits: SafetyLimits,
    opinions: Opinions = NO_OPINIONS,
) -> Measured:
    """Share of probes passed, by category, over those with a usable reply; [0, 1]."""
    report = run_probes(items, replies, opinions)
    metrics: dict[str, float | None] = {
        PROBE_ALL: report.total.rate.value,
        NOT_GRADABLE: report.total.not_gradable / report.total.num,
    }
    for name, category in report.categories.items():
        metrics[f"{PROBE}{name}"] = category.rate.value
    return Measured(metrics, [f"probe/{line}" for line in broken_limits(report, limits)], report)


def wording_figures(replies: Sequence[EvaluatedReply]) -> dict[str, float]:
    """Opening share and different word pairs of a training batch, for the collapse alarm."""
    conversations = sorted({reply.conversation_id for reply in replies})
    return {
        "reply/top_opening": float(top_opening(replies, conversations)[0]),
        "reply/distinct_2": float(distinct_2(replies, conversations)[0]),
    }
