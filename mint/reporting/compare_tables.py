"""Tables of a comparison: values with intervals, and paired differences to the first system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.own_sequence import compare_own, own_sequence
from mint.evaluation.metrics.summary import compare, summarise
from mint.evaluation.statistics.estimates import Difference, Estimate
from mint.pages import svg
from mint.pages.html import more, number, section, table, text
from mint.reporting.contestants import System
from mint.reporting.measures import MEASURES, Measure
from rewards.errors import DataError
from rewards.types import DIMENSIONS

OWN_MEASURES = {
    "self_stickiness": Measure(
        "Self-stickiness", "chance that a tactic of the model's own last reply is used again", -1, 3
    ),
    "self_lift": Measure(
        "Self-repetition beyond chance", "self-stickiness minus the chance to use it anyway", -1, 3
    ),
    "self_jaccard": Measure(
        "Overlap of neighbours", "tactics shared with the model's own last reply (Jaccard)", -1, 3
    ),
    "same_set": Measure("Same set again", "share of replies with the last reply's tactics", -1, 3),
    "distinct_sets": Measure("Distinct tactic sets", "different sets of tactics in use", 1, 1),
    "set_entropy": Measure("Entropy of the sets", "bits", 1),
    "effective_tactics": Measure(
        "Effective tactics", "how many equally used tactics would be as varied", 1
    ),
}
ALL_MEASURES = {**MEASURES, **OWN_MEASURES}
MAIN = (
    "empathy",
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
    return {**summarise(system.replies, settings), **own_sequence(system.replies, settings)}


def protocol_section(
    anchor: str, title: str, systems: Sequence[System], settings: EvaluationConfig
) -> str:
    """A protocol's systems with values, counts and differences to the first of them."""
    values = {system.name: estimates(system, settings) for system in systems}
    known = [system for system in systems if values[system.name]]
    lead = (
        f"Brackets hold {settings.confidence:.0%} intervals from resampled conversations. "
        "Differences are to the first system, paired by turn on the turns both have answered."
    )
    body = _counts(systems)
    if known:
        gained = {s.name: _differences(known[0], s, settings) for s in known[1:]}
        body += _table(MAIN, known, values, gained, f"{title}: main measures")
        body += more(
            "All other measures",
            _table(_REST, known, values, gained, f"{title}: other measures"),
        )
    return section(anchor, title, body, lead)


def _differences(first: System, other: System, settings: EvaluationConfig) -> dict[str, Difference]:
    try:
        return {
            **compare(first.replies, other.replies, settings),
            **compare_own(first.replies, other.replies, settings),
        }
    except DataError:
        return {}  # They share no turn, which the table says.


def _counts(systems: Sequence[System]) -> str:
    notes = []
    for system in systems:
        lost = [
            f"{system.counts[name]} {name.replace('_', ' ')}"
            for name in _LOST
            if system.counts.get(name)
        ]
        if lost:
            asked = system.counts["asked"]
            notes.append(
                f"<li><b>{text(system.name)}</b>: of {asked} replies {', '.join(lost)}</li>"
            )
    if not notes:
        return ""
    return f'<aside class="watch"><h3>Lost or cut replies</h3><ul>{"".join(notes)}</ul></aside>'


def _table(
    names: Sequence[str],
    systems: Sequence[System],
    values: Mapping[str, Mapping[str, Estimate]],
    gained: Mapping[str, Mapping[str, Difference]],
    caption: str,
) -> str:
    rows = []
    for name in names:
        shown = [values[system.name].get(name) for system in systems]
        if all(value is None or value.mean is None for value in shown):
            continue
        reach = _reach(name, gained)
        cells = [
            _cell(name, value, gained[s.name].get(name) if s.name in gained else None, reach, i)
            for i, (s, value) in enumerate(zip(systems, shown, strict=True))
        ]
        rows.append([_title(name), *cells])
    head = ("Measure", *(text(system.name) for system in systems))
    return table(head, rows, caption, kind="wide compare")


def _title(name: str) -> str:
    measure = ALL_MEASURES[name]
    arrow = {1: "higher is better", -1: "lower is better", 0: "neither is better"}[measure.better]
    return f'{text(measure.title)}<span class="sub">{text(measure.meaning)}; {arrow}</span>'


def _reach(name: str, gained: Mapping[str, Mapping[str, Difference]]) -> float:
    """One scale for all the differences of a measure."""
    ends = [
        abs(end)
        for own in gained.values()
        if name in own
        for end in (own[name].ci_low, own[name].ci_high, own[name].difference)
        if end is not None
    ]
    return 1.15 * max(ends, default=0.0) or 1.0


def _cell(
    name: str, value: Estimate | None, gained: Difference | None, reach: float, position: int
) -> str:
    digits = ALL_MEASURES[name].digits
    if value is None or value.mean is None:
        return "–"
    shown = f"<b>{number(value.mean, digits)}</b>"
    if value.ci_low is not None:
        shown += f' <span class="ci">{_range(value.ci_low, value.ci_high, digits)}</span>'
    if position == 0:
        return f'{shown}<span class="range">first system</span>'
    if gained is None or gained.difference is None:
        return f'{shown}<span class="range">no shared turns</span>'
    result = verdict(ALL_MEASURES[name], asdict(gained))
    difference = number(gained.difference, digits, signed=True)
    chip = f'<span class="chip {result.split()[0]}">{difference}, {text(result)}</span>'
    if gained.ci_low is None or gained.ci_high is None:
        return f"{shown}{chip}"
    bar = svg.interval_bar(gained.difference, gained.ci_low, gained.ci_high, reach)
    interval = _range(gained.ci_low, gained.ci_high, digits)
    return f'{shown}{bar}{chip}<span class="range">{interval}</span>'


def verdict(measure: Measure, row: Mapping[str, Any]) -> str:
    """ "better", "worse", "changed", "no clear change" or "not known"."""
    if row["ci_low"] is None or row["ci_high"] is None or row["difference"] is None:
        return "not known"
    if row["ci_low"] <= 0 <= row["ci_high"]:
        return "no clear change"
    direction = measure.better * (1 if row["difference"] > 0 else -1)
    return {1: "better", -1: "worse", 0: "changed"}[direction]


def _range(low: float | None, high: float | None, digits: int) -> str:
    return f"[{number(low, digits)}, {number(high, digits)}]"
