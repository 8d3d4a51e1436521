"""What to look out for: signs that a better number is not a better supporter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mint.evaluation.metrics.parts import GUARDS_OF_EMPATHY
from mint.evaluation.second import learnt_the_judge
from mint.evaluation.statistics.estimates import Difference, few_clusters
from mint.pages.html import spaced, text
from mint.reporting.changes import Change, Comparison, changes_of
from mint.reporting.data import ReportData
from mint.reporting.measures import MEASURES, prevalence
from rewards.build import SecondJudgeConfig
from rewards.tactics import TACTIC_NAMES

_ALWAYS_ON = 0.9
_SAME_OPENING = 0.5
_RISE = 0.1
"""A rise of the share of one opening by this much is worth a warning."""
_TRUNCATED = 0.1


def warnings_of(data: ReportData, comparison: Comparison) -> Iterator[str]:
    """Signs that a better number is not a better supporter."""
    composite = comparison["composite"]
    clusters = composite["num_clusters" if "num_clusters" in composite else "num_conversations"]
    if warning := few_clusters(clusters):
        yield warning
    if warning := _learnt(data, comparison):
        yield f"Alarm: {warning}."
    verdicts = {
        name: change.verdict(MEASURES[name].better)
        for name, change in changes_of(comparison).items()
        if name in ("distinct_2", "stickiness", "empathy", "empathy_with_silence")
    }
    if verdicts["empathy"] == "better" and not _parts_known(comparison):
        yield (
            "Relevance and coherence of the replies were not measured: whether a higher rating "
            "is more than wording that pleases the judge is not known."
        )
    pairs = zip(TACTIC_NAMES, prevalence(data.after), strict=True)
    always = [spaced(name) for name, share in pairs if share is not None and share > _ALWAYS_ON]
    if always:
        yield (
            f"After training more than 90% of replies use {', '.join(always)}, whatever the "
            "person says."
        )
    yield from _opening(data, comparison["top_opening"])
    if verdicts["distinct_2"] == "worse":
        yield "The wording has become more uniform (fewer distinct word pairs)."
    lift = Change.of(comparison["lift"])
    if verdicts["stickiness"] == "better" and not (lift.high is not None and lift.high < 0):
        yield (
            "Stickiness fell, but repetition beyond chance did not: the change may come from using "
            "fewer tactics rather than from answering the previous turn."
        )
    counted = verdicts.get("empathy_with_silence")
    if verdicts["empathy"] == "better" and counted in ("worse", "no clear change"):
        yield "Empathy is not better once replies with nothing visible get the lowest rating."
    truncated = comparison["truncated"]["after"]
    if truncated is not None and truncated > _TRUNCATED:
        yield f"{truncated:.0%} of the trained replies hit the length limit."
    for name, words in (
        ("failed", "could not be graded"),
        ("label_leak", "name their tactics"),
        ("empty", "are empty"),
    ):
        share = comparison[name]["after"]
        if share is not None and share > 0:
            yield f"{share:.1%} of the trained replies {words}."


def _learnt(data: ReportData, comparison: Comparison) -> str:
    differences = {name: Difference(**row) for name, row in comparison.items()}
    most = data.setting("mint.second_judge.max_gap_gain")
    return learnt_the_judge(
        differences, SecondJudgeConfig.max_gap_gain if most is None else float(most)
    )


def _parts_known(comparison: Comparison) -> bool:
    return all(
        name in comparison and comparison[name]["difference"] is not None
        for name in GUARDS_OF_EMPATHY
    )


def _opening(data: ReportData, row: Mapping[str, Any]) -> Iterator[str]:
    """An opening that most replies share, or one that has become common."""
    start, end = row["before"], row["after"]
    if end is None:
        return
    rose = start is not None and end - start >= _RISE and Change.of(row).excludes_zero is not False
    if end > _SAME_OPENING or rose:
        before = "" if start is None else f"; before training it was {start:.0%}"
        people = data.people.words("top_opening", 2)
        beside = f"; {text(people)}" if people else ""
        yield f"{end:.0%} of the trained replies begin with the same four words{before}{beside}."
