"""What is wrong with a run: each alarm with its value, its threshold and why it matters.

The thresholds are the run's own settings, where it has some.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any, NamedTuple

from mint.config.schema import GradingConfig, RunConfig
from mint.config.validation import CollapseConfig
from mint.pages.html import number, spaced
from mint.reporting.data import ReportData
from mint.validation.collapse import CollapseWatch
from mint.validation.measure import LEARNT
from mint.watching.activity import RECENT, Activity
from mint.watching.words import span
from rewards.build import SecondJudgeConfig
from rewards.errors import ConfigError

LEAST_AGREEMENT = 0.99
"""Of vLLM's and the trainer's probabilities (docs/metrics.md)."""
_SILENT_STEPS, _SILENT_S = 5.0, 60.0
"""No step for so many usual steps, and at least so many seconds, is worth a word."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something to act on."""

    title: str
    value: str
    """What was seen, with the step."""
    threshold: str
    why: str
    serious: bool = True
    """False: worth knowing, the run goes on."""


WATCHED = (
    "the run's own error",
    "steps that do not come",
    "replies that graders fail on",
    "groups without a gradient",
    "grader servers that are down",
    "numbers that are not finite",
    "agreement of vLLM and trainer",
    "collapse of entropy, openings and word pairs",
    "the gap between judge and second judge",
    "files that cannot be read",
)
"""What `alarms_of` looks at, in words."""


def alarms_of(
    data: ReportData, activity: Activity, not_yet: Sequence[str], now: float
) -> list[Alarm]:
    """What is wrong at the time `now` (seconds since 1970), the serious first."""
    found = [
        *_failure(data),
        *_silence(data, activity, now),
        *_grading(data),
        *_servers(data),
        *_numbers(data),
        *_agreement(data),
        *_collapse(data),
        *_gap(data),
        *(_unreadable(said) for said in not_yet),
    ]
    return sorted(found, key=lambda alarm: not alarm.serious)


def _failure(data: ReportData) -> Iterator[Alarm]:
    if data.manifest is not None and data.manifest["error"]:
        yield Alarm(
            title="The run has failed",
            value=str(data.manifest["error"]),
            threshold="none: a run that finishes has no error",
            why="logs/verl.log has the first traceback; mint train resume=RUN goes on from the "
            "newest checkpoint.",
        )


def _silence(data: ReportData, activity: Activity, now: float) -> Iterator[Alarm]:
    if not activity.training or activity.last_step is None:
        return
    silent = now - activity.last_step
    usual = activity.usual_s
    limit = max(_SILENT_S, _SILENT_STEPS * (usual or _SILENT_S))
    if silent <= limit:
        return
    ends = _limit(data, "mint.run.step_timeout_s", RunConfig.step_timeout_s)
    about = "" if usual is None else f"{_SILENT_STEPS:.0f} usual steps of {span(usual)}, "
    yield Alarm(
        title="No step for long",
        # In coarse units, so that the page is not drawn again every second.
        value=f"none for more than {span(limit)}",
        threshold=f"{about}at least {span(_SILENT_S)}; after {span(ends)} the run is ended "
        "(mint.run.step_timeout_s)",
        why="A worker that hangs, a grader that does not answer, or a process that was killed.",
        serious=silent > ends,
    )


def _grading(data: ReportData) -> Iterator[Alarm]:
    config = GradingConfig
    window = int(_limit(data, "mint.grading.failure_window", config.failure_window))
    failed = _share(data, "grader/failed_frac", window)
    if failed is not None:
        most = _limit(data, "mint.grading.max_failed_fraction", config.max_failed_fraction)
        leak = _limit(
            data, "mint.grading.max_window_failed_fraction", config.max_window_failed_fraction
        )
        yield Alarm(
            title="Replies were not graded",
            value=failed.said,
            threshold=f"{most:.0%} of a step, {leak:.0%} over {window} steps end the run "
            "(mint.grading)",
            why="What is not graded teaches nothing. quarantine.jsonl has the replies, and mint "
            "regrade run=DIR grades them again.",
            serious=failed.last > most or failed.mean > leak,
        )
    lost = _share(data, "group/frac_lost", window)
    if lost is not None:
        most = _limit(data, "mint.grading.max_lost_fraction", config.max_lost_fraction)
        yield Alarm(
            title="Groups gave no gradient",
            value=lost.said,
            threshold=f"{most:.0%} of a step end the run (mint.grading.max_lost_fraction)",
            why="Too few of their replies were graded, so that nothing can be compared.",
            serious=lost.last > most,
        )


class _Share(NamedTuple):
    """A share in the last step and its mean over a window."""

    last: float
    mean: float
    said: str


def _share(data: ReportData, key: str, window: int) -> _Share | None:
    """None while it is 0 throughout."""
    values = [value for value in data.series(key)[-window:] if value is not None]
    if not any(values):
        return None
    mean = fmean(values)
    said = f"{values[-1]:.1%} in the last step, {mean:.1%} over the last {len(values)}"
    return _Share(values[-1], mean, said)


def _servers(data: ReportData) -> Iterator[Alarm]:
    up = _last(data, "grader/servers_up_frac")
    if up is not None and up < 1:
        yield Alarm(
            title="Grader servers are down",
            value=f"{up:.0%} answered the last health check",
            threshold="100% (mint.grading.health_interval_s)",
            why="The others take their work, and grading becomes slower or fails.",
        )


def _numbers(data: ReportData) -> Iterator[Alarm]:
    bad = [row for row in data.metrics[-RECENT:] if row.get("nonfinite")]
    if not bad:
        return
    most = _limit(data, "mint.run.max_skipped_updates", RunConfig.max_skipped_updates)
    names = ", ".join(map(str, bad[-1]["nonfinite"][:4]))
    yield Alarm(
        title="Numbers that are not finite",
        value=f"{names} at step {bad[-1]['step']} ({len(bad)} of the last {RECENT} steps)",
        threshold=f"none; {most:.0f} updates in a row that are skipped for it end the run "
        "(mint.run.max_skipped_updates)",
        why="A NaN gradient changes nothing, a NaN in the policy would end it: look at the "
        "learning rate and the reward's scale.",
        serious=bad[-1] is data.metrics[-1],
    )


def _agreement(data: ReportData) -> Iterator[Alarm]:
    value = _last(data, "policy/log_prob_pearson")
    if value is not None and value < LEAST_AGREEMENT:
        yield Alarm(
            title="vLLM and the trainer disagree",
            value=f"correlation {number(value, 4)} at step {data.steps[-1]}",
            threshold=f"at least {LEAST_AGREEMENT}",
            why="Replies are then sampled from other weights than those that are trained.",
        )


def _collapse(data: ReportData) -> Iterator[Alarm]:
    settings = data.setting("mint.collapse")
    known = {field.name for field in fields(CollapseConfig)}
    given = {key: value for key, value in dict(settings or {}).items() if key in known}
    try:
        watch = CollapseWatch(CollapseConfig(**given))
    except (ConfigError, TypeError):
        return
    on: list[Any] = []
    for row in data.metrics:
        on = watch.look(row)
    for alarm in on:
        yield Alarm(
            title=f"Collapse: {spaced(alarm.name)}",
            value=f"step {data.steps[-1]}",
            threshold=alarm.text,
            why="The policy has found one way of replying: more training makes it narrower.",
        )


def _gap(data: ReportData) -> Iterator[Alarm]:
    steps = [str(v.step) for v in data.validations if v.metrics.get(LEARNT)]
    if steps:
        most = _limit(data, "mint.second_judge.max_gap_gain", SecondJudgeConfig.max_gap_gain)
        yield Alarm(
            title="The policy is learning the judge",
            value=f"validation of step {', '.join(steps)}",
            threshold=f"the two judges' gains {number(most, 2)} apart "
            "(mint.second_judge.max_gap_gain), with the whole interval",
            why="The judge that is the reward sees a rise that another judge does not see.",
        )


def _unreadable(said: str) -> Alarm:
    return Alarm(
        title="A file is not there yet",
        value=said,
        threshold="every file whole",
        why="A file that is being copied is read again when it changes; the page shows what it had "
        "before.",
        serious=False,
    )


def _last(data: ReportData, key: str) -> float | None:
    return data.series(key)[-1] if data.metrics else None


def _limit(data: ReportData, key: str, default: float) -> float:
    """The run's own threshold."""
    value = data.setting(key)
    return default if value is None else float(value)
