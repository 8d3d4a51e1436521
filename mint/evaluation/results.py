"""What a protocol has found, its files, and the lines people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.grader_error import held_out_errors, in_words
from mint.evaluation.metrics.errors import error_lines
from mint.evaluation.metrics.habits import COUNTS, HABITS, habits
from mint.evaluation.metrics.own_sequence import own_sequence, own_sequence_null
from mint.evaluation.metrics.parts import HELD_DOWN, PARTS, VETOES
from mint.evaluation.metrics.summary import summarise
from mint.evaluation.people import read_people
from mint.evaluation.records import EvaluatedReply, replies_path
from mint.evaluation.silence import in_words as silence_in_words
from mint.evaluation.silence import nothing_visible, places
from mint.evaluation.sources.requests import ReplyKey
from mint.evaluation.statistics.coverage import ONE_MODEL, covers
from mint.evaluation.statistics.estimates import (
    NO_DIFFERENCE,
    Difference,
    Estimate,
    clustered_mean,
    clusters_of,
    few_clusters,
)
from mint.shell.files import write_json, write_json_lines
from rewards.types import Failure, Status

HABIT = "habit/"
SHOWN = (
    "empathy",
    "second_empathy",
    "empathy_with_silence",
    *PARTS,
    HELD_DOWN,
    *(f"{HELD_DOWN}/{name}" for name in VETOES),
    "tactics_per_turn",
    "stickiness",
    "lift",
    "self_stickiness",
    "self_lift",
    "distinct_sets",
    "distinct_2",
    "top_opening",
)


def shown_as(name: str) -> str:
    """What a metric is called for people, on the console as on the pages."""
    return "novelty" if name == "kl" else name


class Unusable(NamedTuple):
    """An answer that is no reply: nothing was scored."""

    key: ReplyKey
    reason: str
    raw: str
    """What the model said; "" when it did not answer."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Replies of one condition of a protocol."""

    condition: str
    replies: Sequence[EvaluatedReply]
    """All that were answered, graded or not."""
    unanswered: Sequence[Unusable] = ()
    """The source has failed."""
    parse_failures: Sequence[Unusable] = ()
    """Answered, but not in the form that was asked for."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """More about the condition, as plain JSON."""


def unanswered(replies: Mapping[ReplyKey, object]) -> list[Unusable]:
    """The keys whose source has failed, with the reason."""
    return [
        Unusable(key, f"{reply.kind}: {reply.message}", "")
        for key, reply in replies.items()
        if isinstance(reply, Failure)
    ]


def outcome_row(outcome: Outcome, settings: EvaluationConfig) -> dict[str, Any]:
    """Counts and metrics of a condition, as JSON."""
    metrics: dict[str, Estimate] = {}
    extra: dict[str, Any] = {}
    if outcome.replies:
        metrics = {
            **summarise(outcome.replies, settings),
            **own_sequence(outcome.replies, settings),
            **_habits(outcome.replies, settings),
            **_tricks(outcome.replies, settings),
        }
        extra = own_sequence_null(outcome.replies, settings)
    if outcome.parse_failures:
        names = {reply.conversation_id: reply.cluster for reply in outcome.replies}
        asked = (u.key.conversation_id for u in outcome.parse_failures)
        lost = [(names[one] if one in names else one, 1.0) for one in asked]
        kept = [(reply.cluster, 0.0) for reply in outcome.replies]
        metrics["parse_failed"] = clustered_mean([*lost, *kept], settings, share=True)
    return {
        "counts": counts(outcome),
        "nothing_visible": nothing_visible(outcome.replies),
        "metrics": {name: asdict(metric) for name, metric in metrics.items()},
        **extra,
        **outcome.facts,
    }


def _habits(replies: Sequence[EvaluatedReply], settings: EvaluationConfig) -> dict[str, Estimate]:
    """Means of `habits.HABITS` over the graded replies, as habit/<name>."""
    rows = [(r.cluster, habits(r.reply)) for r in replies if r.graded]
    if not rows:
        return {}
    return {
        f"{HABIT}{name}": clustered_mean(
            [(c, row[name]) for c, row in rows], settings, share=name not in COUNTS
        )
        for name in HABITS
    }


def _tricks(replies: Sequence[EvaluatedReply], settings: EvaluationConfig) -> dict[str, Estimate]:
    """Share of rated replies held down by anything that is no part's veto, as held_down/<name>."""
    rated = [(r.cluster, r.tricks) for r in replies if r.tricks is not None]
    names = {name for _, tricks in rated for name in tricks} - set(VETOES)
    return {
        f"{HELD_DOWN}/{name}": clustered_mean(
            [(c, float(name in tricks)) for c, tricks in rated], settings, share=True
        )
        for name in sorted(names)
    }


def counts(outcome: Outcome) -> dict[str, int]:
    """How many replies were asked for, and what became of them."""
    replies = outcome.replies
    statuses = [reply.status for reply in replies]
    return {
        "conversations": len({reply.conversation_id for reply in replies}),
        "clusters": len(clusters_of(replies)),
        "turns": len({(reply.conversation_id, reply.turn) for reply in replies}),
        "asked": len(replies) + len(outcome.unanswered) + len(outcome.parse_failures),
        "unanswered": len(outcome.unanswered),
        "parse_failed": len(outcome.parse_failures),
        "graded": statuses.count(Status.OK.value),
        "grader_failed": statuses.count(Status.FAILED.value),
        "empty": statuses.count(Status.EMPTY.value),
        "truncated_thinking": statuses.count(Status.TRUNCATED_THINK.value),
        "truncated": sum(reply.truncated for reply in replies),
    }


def write_outcomes(
    directory: Path,
    protocol: str,
    outcomes: Sequence[Outcome],
    about: Mapping[str, Any],
    settings: EvaluationConfig,
) -> dict[str, Any]:
    """Write <protocol>.json, <condition>_replies.jsonl and, where there are any, the unusable
    answers; returns the content of the first."""
    for outcome in outcomes:
        rows = (reply.as_row() for reply in outcome.replies)
        write_json_lines(replies_path(directory, outcome.condition), rows)
        lost = [*outcome.unanswered, *outcome.parse_failures]
        path = directory / f"{outcome.condition}_unusable.jsonl"
        if lost:
            write_json_lines(
                path, ({**u.key._asdict(), "reason": u.reason, "raw": u.raw} for u in lost)
            )
        else:
            path.unlink(missing_ok=True)
    result = {
        "protocol": protocol,
        **about,
        "statistics": {
            "resamples": settings.resamples,
            "confidence": settings.confidence,
            "seed": settings.seed,
            "intervals_are_over": ONE_MODEL,
        },
        "grader_error": held_out_errors(about["graders"]),
        "conditions": {o.condition: outcome_row(o, settings) for o in outcomes},
    }
    write_json(directory / f"{protocol}.json", result)
    return result


def changes_in_words(differences: Mapping[str, Difference], names: Sequence[str]) -> list[str]:
    """A line for each metric that is known on both sides, with the interval of the difference."""
    lines = []
    for name in names:
        one = differences[name] if name in differences else NO_DIFFERENCE
        if one.before is None or one.after is None or one.difference is None:
            continue
        known = one.ci_low is not None and one.ci_high is not None
        ends = f"  [{one.ci_low:+.3f}, {one.ci_high:+.3f}]" if known else ""
        both = f"{one.before:7.3f} -> {one.after:.3f}"
        lines.append(f"  {shown_as(name):<22}{both}  {one.difference:+.3f}{ends}")
    return ["before -> after, on the turns graded in both:", *lines] if lines else []


def format_conditions(result: Mapping[str, Any], can_ask_again: bool = True) -> str:
    """A protocol's main numbers for people, those of people's replies beside them."""
    people = read_people().beside(result["graders"])
    lines = []
    for condition, row in result["conditions"].items():
        n = row["counts"]
        lost = [
            f"{n[name]} {name.replace('_', ' ')}"
            for name in (
                "unanswered",
                "parse_failed",
                "grader_failed",
                "empty",
                "truncated_thinking",
                "truncated",
            )
            if n[name]
        ]
        lines.append(
            f"{condition}: {n['graded']} of {n['asked']} replies graded, {n['conversations']} "
            f"conversations" + (f" ({', '.join(lost)})" if lost else "")
        )
        lines += silence_in_words(places(row["nothing_visible"]), can_ask_again)
        if row["metrics"] and (warning := few_clusters(n["clusters"])):
            lines.append(f"  {warning}")
        for name in SHOWN:
            if name in row["metrics"] and row["metrics"][name]["mean"] is not None:
                metric = Estimate(**row["metrics"][name])
                beside = people.words(name, 3)
                shown = f"  {shown_as(name):<22}{metric.mean:8.3f}"
                lines.append(f"{shown}  {metric.interval}  {beside}".rstrip())
        lines += error_lines({n: Estimate(**m) for n, m in row["metrics"].items()})
    statistics = result["statistics"]
    lines.append(covers(statistics["confidence"], statistics["intervals_are_over"]))
    return "\n".join([*lines, *in_words(result["graders"])])
