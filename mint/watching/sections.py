"""What the page of a run that goes on has beside its report: now, alarms, the newest replies."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from mint.dialogue.record import TalkRecord
from mint.pages.explorer import RATING, Column, Entry, explorer
from mint.pages.html import (
    code,
    facts,
    figure,
    grid,
    listed,
    missing,
    more,
    number,
    section,
    spaced,
    text,
)
from mint.pages.lines import Series, line_chart
from mint.pages.replies import side_by_side
from mint.pages.svg import Axis
from mint.reporting.curves import COMPONENTS
from mint.reporting.data import ReportData
from mint.reporting.dialogues import dialogue_sample
from mint.reporting.training import split_figure
from mint.rundir.directory import RunDir
from mint.watching.activity import RECENT, Activity
from mint.watching.alarms import WATCHED, Alarm
from mint.watching.words import span
from rewards.errors import DataError
from rewards.types import HIGHEST_RATING, LOWEST_RATING

_NEWEST = 120
"""Training replies in the table."""
_TRACES = 5
"""Dialogues in one chart: as many as there are colours."""
_RATES = {
    "throughput/replies_per_s": ("replies", "replies/s", 2),
    "throughput/tokens_per_s": ("tokens", "tokens/s", 0),
}


def now_section(data: ReportData, activity: Activity, run: RunDir) -> str:
    """What the run does, since when, how long it will take, how fast it is."""
    rows = {"Since": since(activity.since), "Last step": text(activity.step or "none yet")}
    if activity.training:
        rows |= dict(_time(data, activity))
    if memory := _mean(data, "memory/trainer_gb"):
        rows["Memory of the trainer"] = f"{number(memory, 1)} GiB"
    rows["Folder"] = code(str(run.path))
    body = f'<p class="doing" role="status">{text(activity.said)}</p>'
    if activity.total:
        body += (
            f'<progress max="{activity.total}" value="{min(activity.step, activity.total)}" '
            f'aria-label="steps">{activity.step} of {activity.total}</progress>'
        )
    cards = [f'<div class="card">{body}{facts(rows)}</div>']
    if data.has("time/step_s"):
        cards.append(split_figure(replace(data, metrics=data.metrics[-RECENT:])))
    return section("now", "Now", grid(cards))


def since(moment: float | None) -> str:
    """A time that the page's script keeps current as "... ago"."""
    if moment is None:
        return "not known"
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
    return f'<time data-since="{moment:.0f}">{shown}</time>'


def _time(data: ReportData, activity: Activity) -> Iterator[tuple[str, str]]:
    left = activity.left_s
    if left is not None:
        yield "Time left", text(f"{span(left)} of training")
    elif not activity.total:
        yield "Time left", "not known: the run has no number of steps"
    if activity.step_s is not None:
        whole = f"{span(activity.step_s)} a step, validation and checkpoints included"
        yield "Pace", text(f"{whole} (mean of the last {min(RECENT, len(data.metrics) - 1)})")
    rates = [
        f"{number(value, digits)} {unit}"
        for key, (_, unit, digits) in _RATES.items()
        if (value := _mean(data, key)) is not None
    ]
    if rates:
        yield "Throughput", text(", ".join(rates))


def _mean(data: ReportData, key: str) -> float | None:
    known = [value for value in data.series(key)[-RECENT:] if value is not None]
    return fmean(known) if known else None


def alarms_section(alarms: Sequence[Alarm]) -> str:
    """The alarms, or that there is none, and what is looked at."""
    looked = more("What is looked at", listed(map(text, WATCHED)))
    if not alarms:
        body = f'<p class="quiet" role="status">No alarm.</p>{looked}'
        return section("alarms", "Alarms", body)
    cards = "".join(
        f'<li class="{"error" if alarm.serious else "watch"}"><b>{text(alarm.title)}</b>: '
        f'{text(alarm.value)}<span class="sub">Threshold: {text(alarm.threshold)}. '
        f"{text(alarm.why)}</span></li>"
        for alarm in alarms
    )
    body = f'<ul class="alarms" role="status">{cards}</ul>{looked}'
    return section("alarms", "Alarms", body)


def newest_section(data: ReportData) -> str:
    """The newest training replies, to filter and to read; of dialogues, their emotion too."""
    title = "Newest training replies"
    talks = [row for row in data.samples if row.get("dialogue")]
    if talks:
        return section("newest", "Newest training dialogues", _dialogues(talks), _DIALOGUES)
    rows = [row for row in reversed(data.samples[-_NEWEST:]) if "reply" in row]
    if not rows:
        return section("newest", title, missing("No training reply has been kept yet."))
    names = [name for name in COMPONENTS if any(_value(row, name) is not None for row in rows)]
    columns = [
        Column(key=RATING, title="Empathy"),
        Column(key="reward", title="Reward"),
        *(
            Column(key=name, title=COMPONENTS[name].name.capitalize())
            for name in names
            if name != "quality"
        ),
    ]
    table = explorer([_entry(row, names) for row in rows], columns, "newest", title)
    lead = (
        f"The last {len(rows)} replies of samples.jsonl, newest first: best and worst of the "
        "groups whose rewards differed most. A click on a row opens it."
    )
    return section("newest", title, table, lead)


def _entry(row: Mapping[str, Any], names: Sequence[str]) -> Entry:
    quality = _value(row, "quality")
    logit = quality is not None and not 0 <= quality <= 1  # of a reward model: as it is
    rating = (
        quality
        if quality is None or logit
        else LOWEST_RATING + (HIGHEST_RATING - LOWEST_RATING) * quality
    )
    graded = row["breakdown"]["status"] != "failed"
    return Entry(
        place=f"step {row['step']} · {row['conversation_id']} · turn {row['turn']}",
        system=str(row["rank"]),
        seeker=str(row["seeker"]),
        reply=str(row["reply"]),
        values={
            RATING: rating,
            "reward": row["breakdown"]["score"],
            **{name: _value(row, name) for name in names},
        },
        graded=graded,
        reason="" if graded else f"not graded: {row.get('reason') or 'failed'}",
        tricks=tuple(row.get("tricks") or ()),
        sentences=tuple(row["sentences"]),
        tactics=tuple(map(tuple, row["tactics"])),
    )


def _value(row: Mapping[str, Any], name: str) -> float | None:
    value = row["breakdown"].get(name)
    return float(value) if isinstance(value, int | float) else None


_DIALOGUES = (
    "Dialogues of the last step that samples.jsonl has: how the person felt after each reply, "
    "0 to 100, and what was said."
)


def _dialogues(rows: Sequence[Mapping[str, Any]]) -> str:
    last = [row for row in rows if row["step"] == rows[-1]["step"]]
    drawn = figure(
        f"Emotion, step {last[0]['step']}",
        _traces(last),
        "Turn 0 is how the person came. Siblings begin in the same mood.",
    )
    pairs: dict[Any, list[str]] = {}
    for row in last:
        pairs.setdefault(row["uid"], []).append(dialogue_sample(row))
    return grid([drawn]) + "".join(side_by_side("", sides) for sides in pairs.values())


def _traces(rows: Sequence[Mapping[str, Any]]) -> str:
    talks = []
    for row in rows[:_TRACES]:
        try:
            talks.append((str(row["rank"]), TalkRecord.from_json(row["dialogue"])))
        except DataError:
            continue
    felt = [
        (rank, talk.person, [talk.start, *(t.emotion for t in talk.turns)]) for rank, talk in talks
    ]
    longest = max((len(values) for *_, values in felt), default=0)
    if not longest:
        return missing("No dialogue can be read.")
    series = [
        Series(
            name=f"{rank}, {spaced(person)}",
            values=(*values, *[None] * (longest - len(values))),
            style=f"c{i}",
        )
        for i, (rank, person, values) in enumerate(felt)
    ]
    axis = Axis(title="emotion, 0 to 100", low=0.0, high=100.0, digits=0)
    turns = list(range(longest))
    return line_chart(turns, series, axis, "Emotion by turn.", along="turn")
