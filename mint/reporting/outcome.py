"""The first part of the page: what changed, in words, cards and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mint.evaluation.grader_error import in_words
from mint.evaluation.metrics.gains import gains
from mint.evaluation.people import Reference
from mint.evaluation.statistics.coverage import ONE_RUN
from mint.pages.bars import bar_pairs
from mint.pages.html import (
    chip,
    code,
    figure,
    grid,
    interval,
    listed,
    missing,
    number,
    section,
    table,
    text,
    watch,
)
from mint.pages.marks import legend
from mint.reporting.cautions import warnings_of
from mint.reporting.changes import NO_GAIN, Change, Comparison, changes_of
from mint.reporting.curves import COMPONENTS
from mint.reporting.data import ReportData
from mint.reporting.measures import GROUPS, MEASURES, prevalence
from mint.reporting.people import heading
from mint.reporting.reuse import reuse_figures
from mint.reporting.scales import reach_beside
from rewards.formula import RewardWeights
from rewards.tactics import TACTIC_NAMES

_HEADLINES = ("composite", "empathy", "kl", "stickiness", "tactics_per_turn")
_TERMS = {"length": "length", "label_leak": "naming tactics", "silence": "saying nothing"}
"""Terms of the composite that are no component."""
_SHOWN_FROM = 0.0005
"""A smaller part of the composite's gain is left out, but for a component's."""


def outcome_section(data: ReportData) -> str:
    """What changed between the starting policy and the trained one."""
    if data.comparison is None:
        return section("outcome", "What changed", _without_comparison(data))
    confidence = data.after["settings"]["confidence"] if data.after is not None else 0.95
    cards = _cards(data.comparison, data.people)
    body = [_words(data.comparison, confidence), _gain(data), _errors(data), cards]
    body.append(watch("Look out for", list(warnings_of(data, data.comparison))))
    return section("outcome", "What changed", "".join(body))


def measures_section(data: ReportData) -> str:
    """All held-out metrics with intervals."""
    summaries = [s for s in (data.before, data.after) if s is not None]
    if not summaries:
        return section("measures", "Held-out measures", _without_comparison(data))
    settings = summaries[-1]["settings"]
    lead = (
        f"{settings['samples_per_prompt']} replies to each held-out turn at temperature "
        f"{settings['temperature']:g}. Intervals cover {settings['confidence']:.0%} and come from "
        f"{settings['resamples']:,} bootstrap resamples of whole scenarios (conversations where "
        "the data do not say which); differences are "
        f"paired by turn on the turns graded on both sides. They are over {ONE_RUN}. "
        f"{text(data.people.note)}"
    )
    lead += " Within a table, intervals of one unit (shares, ratings, nats) are on one scale."
    heads = ("Measure", "Before", "After", "Difference", "Interval", "Verdict")
    blocks = []
    for title, names in GROUPS.items():
        # A judge rates either with dimensions or with a logit: what it does not give has no row.
        rows = [_row(data, name) for name in names if data.held_out(name) != (None, None)]
        if rows:
            shown = table(heads, rows, f"{title}: before and after", kind="measures")
            blocks.append(f"<h3>{text(title)}</h3>{shown}")
    return section("measures", "Held-out measures", "".join(blocks), lead)


def tactics_section(data: ReportData) -> str:
    """Which tactics the replies use, before and after."""
    before, after = prevalence(data.before), prevalence(data.after)
    if all(value is None for value in (*before, *after)):
        note = missing("No evaluation has been made, so the use of tactics is not known.")
        return section("tactics", "Tactics in use", note)
    figures = [
        _pairs_figure(
            "Share of replies with each tactic",
            "share of replies",
            (before, after),
            "A tactic near 100% is used whatever the person says: variety has then become a fixed "
            "bundle, which lowers stickiness without making replies more responsive.",
        )
    ]
    if data.before_replies and data.after_replies:
        figures += reuse_figures(data)
    return section("tactics", "Tactics in use", grid(figures))


def _pairs_figure(
    title: str,
    unit: str,
    values: tuple[Sequence[float | None], Sequence[float | None]],
    explanation: str,
) -> str:
    keys = legend([("before", "before training"), ("after", "after training")])
    return figure(title, keys + bar_pairs(TACTIC_NAMES, *values, unit), explanation)


def _words(comparison: Comparison, confidence: float) -> str:
    composite = comparison["composite"]
    scope = (
        f"Measured on {composite['num_turns']} held-out turns of "
        f"{composite['num_conversations']} conversations that were not trained on. Brackets hold "
        f"the {confidence:.0%} interval of the difference, over {ONE_RUN}."
    )
    changes = changes_of(comparison)
    said = (_change(name, comparison, changes[name]) for name in _headlines(comparison))
    return f'{listed(said, "summary")}<p class="lead">{scope}</p>'


def _gain(data: ReportData) -> str:
    """The composite's gain by component; "" where it is no sum."""
    settings = {} if data.after is None else data.after["settings"]
    if "reward" not in settings or data.comparison is None:
        return ""
    weights = RewardWeights(**settings["reward"])
    parts = gains(data.before_replies, data.after_replies, weights)
    total = data.comparison["composite"]["difference"]
    if not parts or total is None:
        return ""
    used = {name for name, weight in weights.active_components().items() if weight > 0}
    said = [
        f"{_term(name)} {number(value, 3, signed=True)}"
        for name, value in parts.items()
        if name in used or abs(value) >= _SHOWN_FROM
    ]
    return (
        f'<p class="gain">Composite by component: <b>{number(total, 3, signed=True)}</b> = '
        f"{', '.join(said)}.</p>"
    )


def _term(name: str) -> str:
    return COMPONENTS[name].name if name in COMPONENTS else _TERMS[name]


def _errors(data: ReportData) -> str:
    return listed(map(text, in_words(data.graders)), "muted small")


def _headlines(comparison: Comparison) -> tuple[str, ...]:
    """The metrics shown first; a reward model has a score where a judge has empathy."""
    if "judge_logit" not in comparison or comparison["judge_logit"]["difference"] is None:
        return _HEADLINES
    return tuple("judge_logit" if name == "empathy" else name for name in _HEADLINES)


def _change(name: str, comparison: Comparison, change: Change) -> str:
    row = comparison[name]
    title, digits = MEASURES[name].title, MEASURES[name].digits
    if row["difference"] is None:
        return f"{title}: not known on both sides."
    before, after = number(row["before"], digits), number(row["after"], digits)
    clear = change.excludes_zero
    if clear is None:
        return f"{title} went from {before} to <b>{after}</b>; too few data for an interval."
    if not clear:
        return (
            f"{title} shows <b>no clear change</b>: {before} before, {after} after, and "
            f"the interval {_range(row, digits)} includes 0."
        )
    if change.verdict(MEASURES[name].better).startswith(NO_GAIN):
        return _no_gain(name, comparison, change)
    moved = "rose" if row["difference"] > 0 else "fell"
    return (
        f"{title} <b>{moved} from {before} to {after}</b>, and the interval "
        f"{_range(row, digits)} excludes 0."
    )


def _no_gain(name: str, comparison: Comparison, change: Change) -> str:
    """What is said instead of a rise: the parts that fell, and what that makes of the rating."""
    fallen = []
    for part in change.spoiled_by:
        row, digits = comparison[part], MEASURES[part].digits
        fallen.append(
            f"{MEASURES[part].title} <b>fell from {number(row['before'], digits)} to "
            f"{number(row['after'], digits)}</b> (interval {_range(row, digits)})"
        )
    row, digits = comparison[name], MEASURES[name].digits
    return (
        f"{' and '.join(fallen)}. The judge's {number(row['after'], digits)} for "
        f"{MEASURES[name].title.lower()}, {number(row['before'], digits)} before, is therefore "
        "<b>no gain</b>: replies that answer less or make less sense please the judge more."
    )


def _cards(comparison: Comparison, people: Reference) -> str:
    cards, changes = [], changes_of(comparison)
    for name in _headlines(comparison):
        row, measure = comparison[name], MEASURES[name]
        result = changes[name].verdict(measure.better)
        cards.append(
            f'<div class="card stat"><h3>{measure.title}</h3>'
            f'<p class="big"><span class="from">{number(row["before"], measure.digits)}</span>'
            f'<span class="arrow" aria-label="to">→</span>'
            f"{number(row['after'], measure.digits)}</p>"
            f'<p class="delta">{chip(result, result)} '
            f"{number(row['difference'], measure.digits, signed=True)}"
            f'<span class="muted interval-text">{_range(row, measure.digits)}</span></p>'
            f'<p class="muted small">{text(measure.meaning)}</p>'
            f'<p class="muted small people">{text(people.words(name, measure.digits))}</p></div>'
        )
    return f'<div class="grid stats">{"".join(cards)}</div>'


def _row(data: ReportData, name: str) -> list[str]:
    measure = MEASURES[name]
    values = [number(value, measure.digits) for value in data.held_out(name)]
    if measure.counted:
        values = [
            shown + f' <span class="range">of {_num(summary, name)}</span>'
            for shown, summary in zip(values, (data.before, data.after), strict=True)
        ]
    shown = [heading(name, measure, data.people), *values]
    changes = {} if data.comparison is None else changes_of(data.comparison)
    if name not in changes or changes[name].difference is None:
        return [*shown, "–", "–", "–"]
    change = changes[name]
    result = change.verdict(measure.better)
    shown.append(number(change.difference, measure.digits, signed=True))
    if change.low is None:
        return [*shown, "–", text(result)]
    return [*shown, change.bar(_reach(data, name), measure.digits), chip(result, result)]


def _num(summary: Mapping[str, Any] | None, name: str) -> str:
    """Replies that a measure is computed from."""
    known = summary is not None and name in summary["metrics"]
    return number(summary["metrics"][name]["n"] if known and summary else None, 0)


def _reach(data: ReportData, name: str) -> float:
    """One scale for the measures of a table that have the same unit."""
    rows = data.comparison or {}
    group = next(names for names in GROUPS.values() if name in names)
    return reach_beside(name, {n: [Change.of(rows[n])] for n in group if n in rows})


def _range(row: Mapping[str, Any], digits: int) -> str:
    if row["ci_low"] is None:
        return "no interval"
    return interval(row["ci_low"], row["ci_high"], digits)


def _without_comparison(data: ReportData) -> str:
    what, which = (
        "The policy has not been evaluated on held-out conversations, so nothing is known about "
        "what training changed.",
        "both",
    )
    if data.before is not None or data.after is not None:
        which = "before" if data.before is None else "after"
        what = f"There is no evaluation {which} training, so no difference can be shown."
    return missing(what, f"Run {code(f'python -m mint.evaluate run=DIR which={which}')}.")
