"""Runs on dialogues: how held-out people felt before and after, curves, dialogues to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mint.dialogue.record import TalkRecord
from mint.evaluation.metrics.talks import MEASURES as TALKS
from mint.evaluation.metrics.talks import SECOND, Talks
from mint.evaluation.protocols.talkers import OWN, gap_in_words
from mint.evaluation.statistics.coverage import ONE_RUN
from mint.evaluation.statistics.estimates import few_clusters
from mint.pages.html import chip, grid, more, number, section, spaced, table, text, watch
from mint.pages.replies import seeker, side, side_by_side
from mint.reporting.changes import Change, reach_of
from mint.reporting.curves import CURVES
from mint.reporting.data import ReportData, spread
from mint.reporting.measures import OWN_MEASURES, SECOND_MEASURES, TALK_MEASURES

_NUM_PAIRS = 3
_ROWS = (
    *(*TALKS, "lost", *OWN),
    *(f"{SECOND}{name}" for name in (*TALKS, "lost", *OWN)),
)


def dialogues_section(data: ReportData) -> str:
    """Dialogues with held-out people before and after training; "" for a run on replies."""
    names = [name for name in _ROWS if data.held_out(name) != (None, None)]
    if not names:
        return ""
    rows = [_row(data, name) for name in names]
    heads = ("Measure", "Before", "After", "Difference", "Interval", "Verdict")
    shown = table(heads, rows, "Dialogues: before and after", kind="measures")
    people = {talk.person for talk in (data.before_talks or data.after_talks).values()}
    lead = (
        f"{len(data.after_talks or data.before_talks)} dialogues with {len(people)} held-out "
        "people who were not trained with. Differences are paired by person and draw; intervals "
        f"resample people, over {ONE_RUN}."
    )
    few = few_clusters(len(people)).replace("scenarios or conversations", "people")
    gap = gap_in_words(data.gap)
    told = f'<p class="muted small">{text(gap[0].upper() + gap[1:])}.</p>' if gap else ""
    body = shown + told + watch("Look out for", [few] if few else []) + _pairs(data)
    return section("dialogues", "Dialogues", body, lead)


def dialogue_curves_section(data: ReportData) -> str:
    """The dialogues of training, step by step; "" for a run on replies."""
    if not data.has("dialogue/num"):
        return ""
    practice = [curve for curve in CURVES["practice"] if data.has(*curve.keys)]
    curves = [*CURVES["dialogues"], *practice]
    drawn = [curve.draw(data.steps, data.table(curve.keys)) for curve in curves]
    return section("dialogue-curves", "Dialogues during training", grid(drawn))


def dialogue_samples_section(data: ReportData) -> str:
    """Best and worst training dialogues of the first, a middle and the last step."""
    rows = [row for row in data.samples if "dialogue" in row]
    if not rows:
        return ""
    steps = sorted({int(row["step"]) for row in rows})
    blocks = []
    for step in sorted({steps[0], steps[len(steps) // 2], steps[-1]}):
        own = [row for row in rows if int(row["step"]) == step]
        group = [row for row in own if row["uid"] == own[0]["uid"]]
        blocks.append(
            f"<h3>Step {step}</h3>{side_by_side('', [dialogue_sample(row) for row in group])}"
        )
    lead = (
        "From the group whose rewards differed most: siblings talk with the same person, who "
        "begins in the same mood."
    )
    return section("dialogue-samples", "Best and worst training dialogues", "".join(blocks), lead)


def _row(data: ReportData, name: str) -> list[str]:
    measure = {**TALK_MEASURES, **OWN_MEASURES, **SECOND_MEASURES}[name]
    values = [number(value, measure.digits) for value in data.held_out(name)]
    row = (data.comparison or {}).get(name)
    if row is None or row["difference"] is None:
        return [measure.heading, *values, "–", "–", "–"]
    change = Change.of(row)
    difference = number(change.difference, measure.digits, signed=True)
    result = change.verdict(measure.better)
    bar = change.bar(reach_of([change]), measure.digits) or "–"
    return [measure.heading, *values, difference, bar, chip(result, result)]


def _pairs(data: ReportData) -> str:
    """The same people before and after, evenly spaced and not chosen by result."""
    keys = sorted(data.before_talks.keys() & data.after_talks.keys())
    sides: Sequence[tuple[str, Talks]] = (
        ("before", data.before_talks),
        ("after", data.after_talks),
    )
    return "".join(
        side_by_side(
            f"<h3>{text(talks_title(data.before_talks[key]))}</h3>",
            [_talk(f"{kind.capitalize()} training", talks[key], kind) for kind, talks in sides],
        )
        for key in spread(keys, _NUM_PAIRS)
    )


def talks_title(talk: TalkRecord) -> str:
    """Who was talked with, and the hope that is never said."""
    return f"{talk.person}, hopes for {spaced(talk.intention)}"


def dialogue_sample(row: Mapping[str, Any]) -> str:
    """A row of samples.jsonl that holds a dialogue."""
    record = TalkRecord.from_json(row["dialogue"])
    title = f"{str(row['rank']).capitalize()}: reward {number(row['reward'])}"
    return _talk(title, record, row["rank"])


def _talk(title: str, talk: TalkRecord, kind: str) -> str:
    end = f"lost: {talk.lost.who}, {talk.lost.kind}" if talk.lost else f"ended: {talk.ended}"
    scores = f"emotion {number(talk.start, 0)} → <b>{number(talk.emotion, 0)}</b> · {text(end)}"
    return side(title, more("The dialogue", _turns(talk)), scores, kind)


def _turns(talk: TalkRecord) -> str:
    parts = [] if talk.opening is None else [seeker(talk.opening)]
    for turn in talk.turns:
        parts.append(f'<p class="seeker supporter"><b>Supporter</b> {text(turn.visible)}</p>')
        felt = "" if turn.emotion is None else f"emotion {number(turn.emotion, 0)}. {turn.reason}"
        parts.append(f'<p class="muted small">{text(felt)}</p>')
        if turn.message is not None:
            parts.append(seeker(turn.message))
    return "".join(parts)
