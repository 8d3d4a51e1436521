"""sweep.html: the jobs of a sweep, what each setting reached, and which are worth keeping."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.talks import SECOND
from mint.evaluation.people import People, read_people
from mint.evaluation.statistics.coverage import ONE_RUN, RUNS, covers
from mint.pages import page
from mint.pages.html import chip, code, facts, interval, number, section, table, text
from mint.reporting.comparison.contestants import is_mixed, systems_of
from mint.reporting.comparison.curves import curves_section
from mint.reporting.comparison.differences import differences_section
from mint.reporting.comparison.labels import is_seed
from mint.reporting.comparison.page import TITLES
from mint.reporting.comparison.seeds import seeds_section
from mint.reporting.comparison.tables import ALL_MEASURES, protocol_section
from mint.rundir.directory import RunDir
from mint.shell.files import write_text_atomic
from mint.sweeping import record as states
from mint.sweeping.front import described, effects_section, front_of, front_section
from mint.sweeping.outcome import wanted_lift
from mint.sweeping.record import PAGE, read_sweep
from mint.sweeping.results import SAFETY, Results, Setting, Value, read_results

_MEASURES = (
    "emotion",
    f"{SECOND}emotion",
    "composite",
    "empathy",
    "relevance",
    "lift",
    "self_stickiness",
    "self_lift",
    SAFETY,
    "tactics_per_turn",
    "distinct_2",
    "top_opening",
    "num_tokens",
    "truncated",
)
_GOALS = ("empathy", "lift", SAFETY)
_FEW = 8
"""With more settings, only those on the front are drawn over steps; with more systems, no table
has a column for each."""
Address = Callable[[Mapping[str, Any]], str]
_VERDICT = {states.FINISHED: "better", states.FAILED: "worse"}


def write_page(
    folder: Path,
    statistics: EvaluationConfig | None = None,
    people: People | None = None,
    output: Path | None = None,
) -> Path:
    """Write the page of a sweep, into its folder unless `output` is set; returns its path. `people`
    are the figures to stand beside the settings (None: those that ship).

    Raises ConfigError when the folder is no sweep, DataError for a broken run directory.
    """
    head, parts = draw(folder, partial(_report_of, folder), statistics, people)
    links = {anchor: title for anchor, (title, html) in parts.items() if html}
    body = "".join(html for _, html in parts.values())
    output = output or folder / PAGE
    write_text_atomic(output, page.render(head, links, body, ""))
    return output


def draw(
    folder: Path,
    address: Address,
    statistics: EvaluationConfig | None = None,
    people: People | None = None,
) -> tuple[page.Head, dict[str, tuple[str, str]]]:
    """Head and parts (anchor -> title and ready HTML) of the page; `address` of a job's row is what
    its label leads to, "" for nothing. Raises as `write_page`."""
    sweep = read_sweep(folder)
    jobs = {name: {**row, "state": _state(row)} for name, row in sweep["jobs"].items()}
    seeds = sorted({key for row in jobs.values() for key in row["choices"] if is_seed(key)})
    results = read_results(jobs, seeds, statistics or EvaluationConfig())
    settings = statistics or EvaluationConfig()
    best = front_of(results.settings, wanted_lift(results.graders, people)[0])
    few = len(results.settings) <= _FEW
    shown = [c for c in results.contestants if few or not c.setting or c.setting in best]
    parts = {
        "results": ("Results", _results_section(results, best, settings, people)),
        "front": ("Pareto front", front_section(results, people)),
        "effects": ("Effects", effects_section(results)),
        "configurations": ("Configurations", _configurations(address, results, best)),
        "curves": ("Learning curves", curves_section(shown, people)),
        "jobs": ("Jobs", _jobs_section(address, jobs)),
        "differences": ("Settings", differences_section(results.contestants)),
        "seeds": ("Seeds", seeds_section(results.contestants, settings)),
    }
    for name, title in TITLES.items():
        systems = systems_of(results.contestants, name)
        if 1 < len(systems) <= _FEW:
            body = protocol_section(name, title, systems, settings, people=people)
            parts[name] = (title.split(" (")[0], body)
    counts = {state: sum(row["state"] == state for row in jobs.values()) for state in states.STATES}
    mixed = is_mixed(results.contestants)
    head = page.Head(
        title=f"{folder.name} · mint sweep",
        kicker="mint sweep",
        heading=folder.name,
        about=[
            f"{len(jobs)} jobs: " + ", ".join(f"{n} {state}" for state, n in counts.items() if n),
            sweep["command"],
        ],
        skip_to="results",
        error="Different graders have graded these runs: their numbers do not compare."
        if mixed
        else "",
    )
    return head, parts


def _results_section(
    results: Results, best: set[str], settings: EvaluationConfig, people: People | None
) -> str:
    """A row a setting, a column a measure; people and the start above them."""
    known = [one for one in results.settings if one.values]
    if not known:
        return ""
    names = [n for n in _MEASURES if any(_value(one.values, n).mean is not None for one in known)]
    beside = (people or read_people()).beside(results.graders)
    figures = {name: beside.figure(name) for name in names if name != SAFETY}
    rows = []
    if any(figures.values()):
        said = (text(f.words(_digits(n))) if (f := figures.get(n)) else "–" for n in names)
        people_row = [
            'people<span class="sub">same graders, other conversations</span>',
            *said,
        ]
        rows.append(people_row)
    if results.before:
        rows.append(["before training", *(_cell(_value(results.before, n), n) for n in names)])
    for i, one in enumerate(results.settings, start=1):
        if one.values:
            rows.append(
                [_name(i, one, one.name in best), *(_cell(_value(one.values, n), n) for n in names)]
            )
    head = ("Setting", *(_heading(name) for name in names))
    several = any(one.runs > 1 for one in known)
    lead = f"Held-out values after training. {covers(settings.confidence, ONE_RUN)}"
    if several:
        lead += (
            " Where a setting has several runs, the value is their mean and the interval is over "
            f"{RUNS}."
        )
    return section(
        "results", "Results", table(head, rows, "Results by setting", "wide"), text(lead)
    )


def _name(number_: int, one: Setting, on_front: bool) -> str:
    front = f" {chip('better', 'front')}" if on_front else ""
    runs = f"{one.runs} run{'s' if one.runs > 1 else ''}"
    return f'{number_} · {text(one.name)}{front}<span class="sub">{runs}</span>'


def _heading(name: str) -> str:
    if name == SAFETY:
        return 'Safety<span class="sub">share of probes passed; higher is better</span>'
    return ALL_MEASURES[name].heading


def _digits(name: str) -> int:
    return ALL_MEASURES[name].digits if name in ALL_MEASURES else 2


def _value(values: Mapping[str, Value], name: str) -> Value:
    return values[name] if name in values else Value(None)


def _cell(value: Value, name: str) -> str:
    if value.mean is None:
        return "–"
    shown = f"<b>{number(value.mean, _digits(name))}</b>"
    if value.interval[0] is not None:
        shown += f' <span class="ci">{interval(*value.interval, _digits(name))}</span>'
    return shown


def _configurations(address: Address, results: Results, best: set[str]) -> str:
    """How to have each setting of the front again, and where its models are."""
    cards = []
    for i, one in enumerate(results.settings, start=1):
        if one.name not in best:
            continue
        rows = {
            "Reached": text(described(one.values, _GOALS)),
            **{key: code(value) for key, value in one.choices.items()},
            "Train it": code(shlex.join(["mint", "train", *one.rows[0]["overrides"]])),
            "Measure it": code(f"mint evaluate run={one.rows[0]['dir']} which=both protocol=all"),
            "Runs": " · ".join(_link(address, row) for row in one.rows),
        }
        cards.append(
            f'<article class="card"><h3>{i} · {text(one.name)}</h3>{facts(rows)}</article>'
        )
    if not cards:
        return ""
    lead = "The settings on the front, the commands that train and measure them, and their runs."
    return section("configurations", "Configurations behind the front", "".join(cards), lead)


def _jobs_section(address: Address, jobs: Mapping[str, Mapping[str, Any]]) -> str:
    keys = list(dict.fromkeys(key for row in jobs.values() for key in row["choices"]))
    rows = []
    for row in jobs.values():
        steps = RunDir(Path(row["dir"])).read_metrics()
        status = "" if not row.get("status") else f", status {row['status']}"
        rows.append(
            [
                _link(address, row),
                *(text(row["choices"].get(key, "–")) for key in keys),
                chip(_VERDICT.get(row["state"], "even"), row["state"] + status),
                number(steps[-1]["step"] if steps else None, 0),
                number(_minutes(row), 1),
                text(row["attempts"]),
                text(row.get("error") or ""),
            ]
        )
    head = ("Job", *map(text, keys), "State", "Last step", "Minutes", "Starts", "What went wrong")
    return section("jobs", "Jobs", table(head, rows, "Jobs of the sweep", "wide"))


def _report_of(folder: Path, row: Mapping[str, Any]) -> str:
    """The job's report, else its folder, as seen from the sweep's."""
    run = RunDir(Path(row["dir"]))
    target = run.report_path if run.report_path.exists() else run.path
    return os.path.relpath(target, folder) if target.exists() else ""


def _link(address: Address, row: Mapping[str, Any]) -> str:
    place = address(row)
    return f'<a href="{text(place)}">{text(row["label"])}</a>' if place else text(row["label"])


def _minutes(row: Mapping[str, Any]) -> float | None:
    """How long its last start has run."""
    if not row.get("started") or not row.get("ended"):
        return None
    ends: Sequence[datetime] = [datetime.fromisoformat(row[key]) for key in ("started", "ended")]
    return (ends[1] - ends[0]).total_seconds() / 60


def _state(row: Mapping[str, Any]) -> str:
    """As the files say, but for what runs now."""
    found = states.state_of(Path(row["dir"]), row)
    return states.RUNNING if row["state"] == states.RUNNING and found != states.FINISHED else found
