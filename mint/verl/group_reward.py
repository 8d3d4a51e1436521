"""Graded replies and their group ids in, one reward a reply and the step's metrics out. Pure.

Metric keys are documented in docs/metrics.md. Values are means over replies or groups of the step;
a component's mean leaves out replies that could not be graded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mint.evaluation.metrics.parts import PARTS, held_down
from mint.verl.wire import GradedReply
from rewards.formula import (
    COMPONENTS,
    GroupReward,
    RewardBreakdown,
    RewardWeights,
    group_rewards,
    raw_reward,
)
from rewards.tactics import TACTIC_NAMES
from rewards.types import Status


class StepReward(NamedTuple):
    """Rewards of one training step, in the order of the rows given."""

    scores: tuple[float, ...]
    breakdowns: tuple[RewardBreakdown, ...]
    groups: dict[str, tuple[int, ...]]
    """Group id -> row positions."""
    trained: tuple[bool, ...]
    """Whether a reply may get a gradient: it was graded, and its group is not lost."""
    num_asked: int
    """Replies that should have come."""
    failures: Counter[str]
    """Kind of failure -> how many gradings failed so, `MISSING` replies among them."""
    metrics: dict[str, float]


class Asked(NamedTuple):
    """What a step asks for."""

    prompts: int
    replies: int
    """To each prompt."""


MISSING = "missing"
"""Kind of failure of a reply that never came back: verl leaves it out of the batch in silence."""


def step_rewards(
    rows: Sequence[GradedReply],
    uids: Sequence[str],
    weights: RewardWeights,
    asked: Asked | None = None,
) -> StepReward:
    """Apply the group formula to every uid group; `asked` None: nothing is missing.

    Raises ValueError when lengths differ or more came than was asked for.
    """
    groups: dict[str, list[int]] = {}
    for position, (_, uid) in enumerate(zip(rows, uids, strict=True)):
        groups.setdefault(uid, []).append(position)

    results = []
    of: dict[int, RewardBreakdown] = {}
    trained: dict[int, bool] = {}
    for positions in groups.values():
        signals = [rows[p].signals for p in positions]
        results.append(group_rewards(signals, weights, asked.replies if asked else None))
        of |= zip(positions, results[-1].replies, strict=True)
        trained |= zip(positions, results[-1].trained_G, strict=True)
    vanished = asked.prompts - len(groups) if asked else 0
    if asked and vanished > 0:
        results += [group_rewards([], weights, asked.replies)] * vanished
    num_missing = sum(result.num_missing for result in results)
    failures = failure_kinds(rows) + Counter({MISSING: num_missing})
    breakdowns = tuple(of[position] for position in range(len(rows)))
    return StepReward(
        scores=tuple(b.score for b in breakdowns),
        breakdowns=breakdowns,
        groups={uid: tuple(positions) for uid, positions in groups.items()},
        trained=tuple(trained[position] for position in range(len(rows))),
        num_asked=len(rows) + num_missing,
        failures=failures,
        metrics={
            **_reward_metrics(rows, breakdowns, weights),
            **_group_metrics(results, vanished),
            **reply_metrics(rows, num_missing, failures),
        },
    )


def _reward_metrics(
    rows: Sequence[GradedReply], breakdowns: Sequence[RewardBreakdown], weights: RewardWeights
) -> dict[str, float]:
    metrics = {
        **spread("reward/score", [b.score for b in breakdowns]),
        **spread("reward/raw", [raw_reward(row.signals, weights) for row in rows]),
        "reward/length_scale/mean": mean([b.length_scale for b in breakdowns]),
        "reward/label_leak/frac": mean([row.signals.label_leak for row in rows]),
    }
    for name in COMPONENTS:
        values = [getattr(b, name) for b in breakdowns]
        if getattr(weights, name) == 0 and not any(value is not None for value in values):
            continue  # not computed
        metrics |= spread(f"reward/{name}", values)
        metrics[f"reward/{name}_norm/mean"] = mean([getattr(b, f"{name}_norm") for b in breakdowns])
    return metrics


def _group_metrics(results: Sequence[GroupReward], num_missing: int) -> dict[str, float]:
    """`results`: of all groups asked for, `num_missing` of which have no reply."""
    flat = {name: [name in r.flat_components for r in results] for name in COMPONENTS}
    return {
        "group/num": float(len(results) - num_missing),
        "group/num_missing": float(num_missing),
        "group/frac_flat": mean([r.flat for r in results]),
        "group/frac_partial": mean([r.partial for r in results]),
        "group/frac_lost": mean([r.lost for r in results]),
        "group/size/min": float(min((len(r.replies) for r in results), default=0)),
        **{f"group/frac_flat_{name}": mean(each) for name, each in flat.items()},
    }


def reply_metrics(
    rows: Sequence[GradedReply], num_missing: int, failures: Counter[str]
) -> dict[str, float]:
    """What is worth counting about graded replies, whatever they are rewarded for."""
    return {
        **_reply_metrics(rows, num_missing),
        **_grader_metrics(rows, num_missing, failures),
        **_rating_metrics(rows),
    }


def _reply_metrics(rows: Sequence[GradedReply], num_missing: int) -> dict[str, float]:
    status = [row.signals.status for row in rows]
    graded = [row.signals for row in rows if row.signals.status is Status.OK]
    metrics = {
        "reply/num": float(len(rows)),
        "reply/num_missing": float(num_missing),
        "reply/truncated_frac": mean([row.signals.truncated for row in rows]),
        "reply/empty_frac": mean([s is Status.EMPTY for s in status]),
        "reply/truncated_think_frac": mean([s is Status.TRUNCATED_THINK for s in status]),
        "reply/num_tokens/mean": mean([row.signals.num_tokens for row in rows]),
        "tactics_per_reply/mean": mean([sum(c > 0 for c in s.counts) for s in graded]),
        "time/grade_busy_s": float(sum(row.grade_s for row in rows)),
    }
    for index, name in enumerate(TACTIC_NAMES):
        metrics[f"tactic/{name}/frac"] = mean([s.counts[index] > 0 for s in graded])
    return metrics


def _grader_metrics(
    rows: Sequence[GradedReply], num_missing: int, failures: Counter[str]
) -> dict[str, float]:
    failed = [row.signals for row in rows if row.signals.status is Status.FAILED]
    num_failed = len(failed) + num_missing
    metrics = {
        "grader/num_failed": float(num_failed),
        "grader/failed_frac": num_failed / max(1, len(rows) + num_missing),
    }
    for grader in ("tagger", "judge"):
        metrics[f"grader/{grader}_failed"] = float(sum(grader in s.failures for s in failed))
        # Only where replies are graded more than once: a spread of one grading is no number.
        spreads = [getattr(row, f"{grader}_repeat_std") for row in rows]
        if any(spread is not None for spread in spreads):
            metrics[f"grader/{grader}_repeat_std"] = mean(spreads)
    return metrics | {f"grader/failed/{kind}": float(n) for kind, n in failures.items() if n}


def _rating_metrics(rows: Sequence[GradedReply]) -> dict[str, float]:
    """Means of the parts that the judge gives, and how many of its ratings something held down."""
    names = [name for name in PARTS if any(name in (row.parts or {}) for row in rows)]
    metrics = {
        f"grader/part/{name}/mean": mean([(row.parts or {}).get(name) for row in rows])
        for name in names
    }
    found = held_down(rows)
    if found.num_rated:
        metrics["grader/held_down_frac"] = found.num / found.num_rated
        for name, num in found.names.items():
            metrics[f"grader/held_down/{name}"] = num / found.num_rated
    return metrics


def failure_kinds(rows: Sequence[GradedReply]) -> Counter[str]:
    """Kind of failure -> how many gradings failed so; a reply may count twice."""
    return Counter(f.kind for row in rows for f in row.signals.failures.values())


def spread(name: str, values: Sequence[float | None]) -> dict[str, float]:
    """Mean and standard deviation under their keys."""
    return {f"{name}/mean": mean(values), f"{name}/std": mean(values, np.std)}


def mean(values: Sequence[float | None], summary: Callable[[list[float]], Any] = np.mean) -> float:
    """Mean of the values that exist; NaN when none does."""
    known = [value for value in values if value is not None]
    return float(summary(known)) if known else float("nan")
