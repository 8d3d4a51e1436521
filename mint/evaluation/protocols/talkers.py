"""A run's own evaluation on dialogues: held-out people, played by two seekers, before and after.

The second seeker was never trained with. What the emotion gains with the first one and not with it
is what the policy has learnt of the first one alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from mint.config.evaluation import EvaluationConfig
from mint.config.schema import MintConfig
from mint.evaluation.metrics.own_sequence import compare_own, own_sequence
from mint.evaluation.metrics.summary import summarise
from mint.evaluation.metrics.talks import SECOND, Talks, talk_differences, talk_estimates
from mint.evaluation.protocols.talks import hold_talks, read_talks, second_label, write_talks
from mint.evaluation.records import EvaluatedReply, read_replies, replies_path
from mint.evaluation.sage.compare import not_carried_over
from mint.evaluation.statistics.estimates import Difference, Estimate
from mint.evaluation.trained_run import LABELS
from mint.shell.files import write_json_lines
from rewards.build import Graders
from rewards.protocols import EmpathyJudge

GAP = "gain_not_carried_over"
OWN = ("self_stickiness", "self_lift")
"""Measures of repetition on the policy's own turns, of many, that are shown of dialogues."""


class Talked(NamedTuple):
    """What was measured of one model's dialogues."""

    replies: list[EvaluatedReply]
    """Said to the first seeker."""
    metrics: dict[str, Estimate]
    facts: dict[str, Any]
    """Seekers and numbers, as plain JSON."""


def talk_and_measure(
    model_path: str | Path,
    rows_path: str | Path,
    config: DictConfig,
    mint: MintConfig,
    graders: Graders,
    label: str,
    out_dir: Path,
    second: EmpathyJudge | None,
) -> Talked:
    """Hold, grade and summarise; writes OUT_DIR/<label>_dialogues.jsonl and, of the second seeker,
    OUT_DIR/<label>_second_dialogues.jsonl and OUT_DIR/<label>_second_replies.jsonl."""
    held, *others = hold_talks(model_path, rows_path, config, mint, graders, second)
    write_talks(out_dir, label, held.talks)
    metrics = {
        **talk_estimates(held.talks, mint.evaluation),
        **summarise(held.replies, mint.evaluation),
        **_of(own_sequence(held.replies, mint.evaluation), OWN),
    }
    facts: dict[str, Any] = {"seeker": held.seeker, "num_dialogues": len(held.talks)}
    for other in others:
        name = second_label(label)
        write_talks(out_dir, name, other.talks)
        write_json_lines(replies_path(out_dir, name), (reply.as_row() for reply in other.replies))
        metrics |= second_estimates(other.talks, other.replies, mint.evaluation)
        facts["second_seeker"] = other.seeker
    return Talked(held.replies, metrics, facts)


def second_estimates(
    talks: Talks, replies: Sequence[EvaluatedReply], settings: EvaluationConfig
) -> dict[str, Estimate]:
    """Measures of dialogues with the second seeker, under names that say so."""
    found = talk_estimates(talks, settings)
    if any(reply.graded for reply in replies):
        found |= _of(own_sequence(replies, settings), OWN)
    return {f"{SECOND}{name}": value for name, value in found.items()}


def differences(
    before: Path, after: Path, settings: EvaluationConfig, labels: Sequence[str] = LABELS
) -> dict[str, Difference]:
    """After - before, paired by person and draw, of dialogues and of repetition on the policy's own
    turns, with both seekers; of two evaluation folders. {} for a run on single replies."""
    found: dict[str, Difference] = {}
    for prefix, names in (("", labels), (SECOND, [second_label(label) for label in labels])):
        folders = list(zip((before, after), names, strict=True))
        talks = [read_talks(folder, name) for folder, name in folders]
        if not all(talks):
            continue
        own = talk_differences(talks[0], talks[1], settings)
        replies = [read_replies(replies_path(folder, name)) for folder, name in folders]
        own |= _of(compare_own(replies[0], replies[1], settings), OWN)
        found |= {f"{prefix}{name}": value for name, value in own.items()}
    return found


def gap(folder: Path, settings: EvaluationConfig) -> dict[str, Any]:
    """Gain of the emotion with the seeker trained with, minus that with the second one; {} without
    a second one."""
    sides = [read_talks(folder, label) for label in LABELS]
    seconds = [read_talks(folder, second_label(label)) for label in LABELS]
    if not all((*sides, *seconds)):
        return {}
    return not_carried_over(sides[0], sides[1], seconds[0], seconds[1], settings)


def gap_in_words(found: Mapping[str, Any]) -> str:
    """For people; "" where there is none."""
    if not found:
        return ""
    difference = found["difference"]
    ends = ""
    if difference["ci_low"] is not None:
        ends = f" [{difference['ci_low']:+.1f}, {difference['ci_high']:+.1f}]"
    return (
        f"emotion gained with the seeker of training {found['seen']:+.1f}, with the second one, "
        f"which training never saw, {found['unseen']:+.1f}: {difference['mean']:+.1f}{ends} are "
        "not carried over"
    )


def trained_settings(mint: MintConfig) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        **asdict(mint.evaluation),
        "reward": asdict(mint.reward),
        "dialogue": asdict(mint.dialogue),
    }


def _of(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
