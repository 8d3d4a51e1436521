"""Tables of a comparison: values with intervals, and paired differences to the first system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.grader_error import in_words
from mint.evaluation.metrics.own_sequence import compare_own, own_sequence
from mint.evaluation.metrics.summary import compare, summarise
from mint.evaluation.metrics.talks import SECOND, talk_estimates
from mint.evaluation.options import HELD_OUT
from mint.evaluation.people import People, Reference, read_people
from mint.evaluation.protocols.talkers import differences, second_estimates
from mint.evaluation.protocols.talks import read_talks, second_label
from mint.evaluation.records import read_replies, replies_path
from mint.evaluation.statistics.coverage import ONE_MODEL, ONE_RUN
from mint.evaluation.statistics.estimates import Estimate, clusters_of, few_clusters
from mint.pages.html import interval, listed, more, number, section, spaced, table, text, watch
from mint.reporting.changes import Change, corrected, guarded, verdicts_of
from mint.reporting.comparison.contestants import System
from mint.reporting.measures import (
    ERRORS,
    MEASURES,
    OWN_MEASURES,
    RATING_PARTS,
    SECOND_MEASURES,
    TALK_MEASURES,
    Measure,
)
from mint.reporting.people import heading
from mint.reporting.scales import reach_beside
from rewards.errors import DataError
from rewards.types import DIMENSIONS

ALL_MEASURES = {**MEASURES, **OWN_MEASURES, **TALK_MEASURES, **SECOND_MEASURES}
MAIN = (
    "emotion",
    f"{SECOND}emotion",
    "success",
    "despaired",
    "turns",
    "empathy",
    "empathy_with_silence",
    *RATING_PARTS,
    "lift",
    "stickiness",
    "self_lift",
    "self_stickiness",
    "same_set",
    "distinct_sets",
    "tactics_per_turn",
    "distinct_2",
    "top_opening",
    "num_tokens",
    "truncated",
)
_REST = (
    *DIMENSIONS,
    *ERRORS,
    "composite",
    "kl",
    "entropy",
    "self_jaccard",
    "set_entropy",
    "effective_tactics",
    "empty",
    "label_leak",
    "failed",
)
_LOST = ("unanswered", "parse_failed", "grader_failed", "empty", "truncated_thinking", "truncated")


def estimates(system: System, settings: EvaluationConfig) -> dict[str, Estimate]:
    """All metrics of a system; {} when nothing was graded."""
    if not any(reply.graded for reply in system.replies):
        return {}
    found = {**summarise(system.replies, settings), **own_sequence(system.replies, settings)}
    if system.folder is not None:
        talks = read_talks(system.folder, system.label)
        second = second_label(system.label)
        replies = read_replies(replies_path(system.folder, second))
        found |= talk_estimates(talks, settings)
        found |= second_estimates(read_talks(system.folder, second), replies, settings)
    return found


def protocol_section(
    anchor: str,
    title: str,
    systems: Sequence[System],
    settings: EvaluationConfig,
    correct: bool = True,
    people: People | None = None,
) -> str:
    """A protocol's systems with values, counts and differences to the first of them, whose
    verdicts hold together if `correct`. `people`: figures to stand beside them; None: those that
    ship."""
    values = {system.name: estimates(system, settings) for system in systems}
    known = [system for system in systems if values[system.name]]
    lead = (
        f"Brackets hold {settings.confidence:.0%} intervals from resampled scenarios, or "
        "conversations where the data do not say them: they are over "
        f"{ONE_RUN if anchor == HELD_OUT else ONE_MODEL}. Differences are to the first system, "
        "paired by turn on the turns graded on both sides; a reply with nothing visible is left "
        f"out, but for the line that counts silence. {verdicts_of(settings.confidence, correct)}"
    )
    beside = (people or read_people()).beside(systems[0].graders)
    lead += f" {text(beside.note)}"
    body = _lost(systems)
    if known:
        body += listed(map(text, in_words(known[0].graders)), "muted small")
        body += watch("Intervals", _few(known))
        gained = _gained(known, settings, correct)
        body += _table(MAIN, known, values, gained, f"{title}: main measures", beside)
        body += more(
            "All other measures",
            _table(_REST, known, values, gained, f"{title}: other measures", beside),
        )
    return section(anchor, title, body, lead)


def _gained(
    systems: Sequence[System], settings: EvaluationConfig, correct: bool
) -> dict[str, dict[str, Change]]:
    """System -> measure -> change from the first; all that the tables show are one family."""
    shown = (*MAIN, *_REST)
    found = {
        (system.name, name): change
        for system in systems[1:]
        for name, change in _changes(systems[0], system, settings).items()
        if name in shown
    }
    found = corrected(found, settings.confidence) if correct else found
    return {
        system.name: {name: one for (owner, name), one in found.items() if owner == system.name}
        for system in systems[1:]
    }


def _changes(first: System, other: System, settings: EvaluationConfig) -> dict[str, Change]:
    try:
        found = {
            **compare(first.replies, other.replies, settings),
            **compare_own(first.replies, other.replies, settings),
        }
        if first.folder is not None and other.folder is not None:
            labels = (first.label, other.label)
            found = {**differences(first.folder, other.folder, settings, labels), **found}
    except DataError:
        return {}  # They share no turn, which the table says.
    return guarded({name: Change.of(asdict(one)) for name, one in found.items()})


def _few(systems: Sequence[System]) -> list[str]:
    found = {system.name: few_clusters(len(clusters_of(system.replies))) for system in systems}
    return [f"<b>{text(name)}</b>: {said}" for name, said in found.items() if said]


def _lost(systems: Sequence[System]) -> str:
    notes = []
    for system in systems:
        lost = [f"{system.counts[n]} {spaced(n)}" for n in _LOST if system.counts.get(n)]
        if lost:
            asked = system.counts["asked"]
            notes.append(f"<b>{text(system.name)}</b>: of {asked} replies {', '.join(lost)}")
    return watch("Lost or cut replies", notes)


def _table(
    names: Sequence[str],
    systems: Sequence[System],
    values: Mapping[str, Mapping[str, Estimate]],
    gained: Mapping[str, Mapping[str, Change]],
    caption: str,
    people: Reference,
) -> str:
    rows = []
    for name in names:
        shown = [values[system.name].get(name) for system in systems]
        if all(value is None or value.mean is None for value in shown):
            continue
        changes = [gained[system.name].get(name) for system in systems[1:]]
        beside = {n: [own[n] for own in gained.values() if n in own] for n in names}
        reach = reach_beside(name, beside)
        measure = ALL_MEASURES[name]
        cells = [_value(measure, shown[0], '<span class="range">first system</span>')]
        for value, change in zip(shown[1:], changes, strict=True):
            cells.append(_value(measure, value, _change(measure, change, reach)))
        rows.append([heading(name, measure, people), *cells])
    head = ("Measure", *(text(system.name) for system in systems))
    return table(head, rows, caption, kind="wide compare")


def _value(measure: Measure, value: Estimate | None, change: str) -> str:
    """A value with its interval, followed by ready HTML."""
    if value is None or value.mean is None:
        return "–"
    shown = f"<b>{number(value.mean, measure.digits)}</b>"
    if value.ci_low is not None:
        ends = interval(value.ci_low, value.ci_high, measure.digits)
        shown += f' <span class="ci">{ends}</span>'
    if measure.counted:
        shown += f' <span class="range">of {value.n} replies</span>'
    return shown + change


def _change(measure: Measure, change: Change | None, reach: float) -> str:
    if change is None or change.difference is None:
        return '<span class="range">no shared turns</span>'
    return change.cell(measure.better, measure.digits, reach)
