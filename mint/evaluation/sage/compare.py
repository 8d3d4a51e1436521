"""One model with two seekers, and a model before and after training with both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.dialogue.record import TalkRecord
from mint.evaluation.metrics.own_sequence import compare_own, own_sequence_null
from mint.evaluation.metrics.talks import Talks, talk_differences, usable
from mint.evaluation.protocols.talks import read_talks
from mint.evaluation.records import read_replies, replies_path
from mint.evaluation.statistics.estimates import clustered_mean
from mint.shell.files import write_json

FIRST, SECOND = "sage", "sage_second"
"""Conditions: the seeker of sage.preset, and that of sage.second_preset."""


def seeker_gap(first: Talks, second: Talks, settings: EvaluationConfig) -> dict[str, Any]:
    """Second seeker - first, paired by person and sample: of the rise of the emotion, since presets
    start at different emotions, and of the other measures of `metrics.talks`."""
    found = talk_differences(first, second, settings)
    return {name: asdict(value) for name, value in found.items()}


def compare_folders(before: Path, after: Path, settings: EvaluationConfig) -> dict[str, Any]:
    """After - before for each seeker that both folders have: conversations and repetition on the
    model's own turns, with its permutation null on both sides; and, with both seekers, how much
    more the emotion gained with the first: training's gain that does not carry over."""
    result: dict[str, Any] = {"before": before.name, "after": after.name, "conditions": {}}
    talks: dict[str, tuple[Talks, Talks]] = {}
    for condition in (FIRST, SECOND):
        sides = read_talks(before, condition), read_talks(after, condition)
        if not all(sides):
            continue
        talks[condition] = sides
        first, last = (read_replies(replies_path(path, condition)) for path in (before, after))
        result["conditions"][condition] = {
            "dialogues": {
                name: asdict(value) for name, value in talk_differences(*sides, settings).items()
            },
            "own_turns": {
                name: asdict(value) for name, value in compare_own(first, last, settings).items()
            },
            "null": {
                "before": own_sequence_null(first, settings),
                "after": own_sequence_null(last, settings),
            },
        }
    if len(talks) == 2:
        result["gain_not_carried_over"] = not_carried_over(*talks[FIRST], *talks[SECOND], settings)
    return result


def not_carried_over(
    before: Talks,
    after: Talks,
    second_before: Talks,
    second_after: Talks,
    settings: EvaluationConfig,
) -> dict[str, Any]:
    """Gain of the emotion with the first seeker minus that with the second, in points, over the
    conversations that have a result in all four; the interval resamples people."""
    sides = [usable(talks) for talks in (before, after, second_before, second_after)]
    keys = sorted(set.intersection(*(set(side) for side in sides)))
    if not keys:
        return {}

    def gain(key: str, first: Mapping[str, TalkRecord], last: Mapping[str, TalkRecord]) -> float:
        return last[key].emotion - first[key].emotion

    own = [(k, gain(k, sides[0], sides[1]), gain(k, sides[2], sides[3])) for k in keys]
    gaps = [(sides[0][key].person, seen - unseen) for key, seen, unseen in own]
    return {
        "seen": fmean(seen for _, seen, _ in own),
        "unseen": fmean(unseen for _, _, unseen in own),
        "difference": asdict(clustered_mean(gaps, settings)),
    }


def write_comparison(
    before: Path, after: Path, output: Path, settings: EvaluationConfig
) -> tuple[Path, str]:
    """Write sage_comparison.json; returns its path and what it says, for people."""
    found = compare_folders(before, after, settings)
    lines = []
    for condition, row in found["conditions"].items():
        for name, part in (("emotion", "dialogues"), ("self_lift", "own_turns")):
            value = row[part].get(name)
            if value is None or value["difference"] is None:
                continue
            ends = (
                ""
                if value["ci_low"] is None
                else (f" [{value['ci_low']:+.2f}, {value['ci_high']:+.2f}]")
            )
            lines.append(
                f"{condition}: {name} {value['before']:.2f} -> {value['after']:.2f}, "
                f"{value['difference']:+.2f}{ends}"
            )
    gap = found.get("gain_not_carried_over")
    if gap:
        lines.append(
            f"emotion gained with the first seeker {gap['seen']:+.2f}, with the second "
            f"{gap['unseen']:+.2f}"
        )
    return write_json(output / "sage_comparison.json", found), "\n".join(lines)
