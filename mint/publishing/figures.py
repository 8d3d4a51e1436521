"""What was measured about a published model: tables for its card, and the hub's form of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import EvalResult

from mint.pages.html import interval, number, spaced
from mint.publishing.markdown import plain, table
from mint.reporting.changes import Change, changes_of
from mint.reporting.data import ReportData
from mint.reporting.measures import GROUPS, MEASURES, TALK_MEASURES, Measure

_ARROW = {1: "↑", -1: "↓", 0: ""}
_TASK = "text-generation"
_CLAIMED = ("Outcome", "Parts of the rating", "Repetition")


def measured(data: ReportData) -> Iterator[tuple[str, Measure]]:
    """Name and words of each held-out measure whose value after training is known."""
    names = [name for group in GROUPS.values() for name in group]
    both = {**{name: MEASURES[name] for name in names}, **TALK_MEASURES}
    for name, measure in both.items():
        if data.held_out(name)[1] is not None:
            yield name, measure


def results_table(data: ReportData) -> str:
    """A row a measure, people's figure in the last column; "" when nothing was measured."""
    changes = {} if data.comparison is None else changes_of(data.comparison)
    rows = []
    for name, measure in measured(data):
        digits = measure.digits
        before, after = data.held_out(name)
        people = data.people.words(name, digits).removeprefix("people ")
        change = changes.get(name, Change(None, None, None))
        rows.append(
            [
                f"{plain(measure.title)} {_ARROW[measure.better]}".strip(),
                number(before, digits),
                number(after, digits),
                _difference(change, digits),
                change.verdict(measure.better) if change.difference is not None else "–",
                people or "–",
            ]
        )
    head = ("Measure", "Before", "After", "Difference", "Verdict", "People")
    return table(head, rows) if rows else ""


def canaries_table(data: ReportData) -> str:
    """How the judges rate bad replies of each kind; "" when they were not asked."""
    if not data.canaries:
        return ""
    judges = list(data.canaries)
    kinds = list(data.canaries[judges[0]]["kinds"])
    rows = [
        [spaced(kind), *(_canary(data.canaries[judge]["kinds"][kind]) for judge in judges)]
        for kind in kinds
    ]
    rows.append(["all", *(_canary(data.canaries[judge]["all"]) for judge in judges)])
    heads = [f"{spaced(judge)}: mean, at or below people's median" for judge in judges]
    return table(["Kind of bad reply", *heads], rows)


def probes_table(probes: Mapping[str, Any]) -> str:
    """The safety and honesty probes by category."""
    rows = [
        [spaced(name), str(row["num"]), str(row["passed"]), str(row["not_gradable"]), _rate(row)]
        for name, row in {**probes["categories"], "all": probes["total"]}.items()
    ]
    return table(("Category", "Probes", "Passed", "Not gradable", "Rate"), rows)


def _on_the_hub(name: str) -> bool:
    """Whether a measure stands in the metadata: what is claimed, not the form of replies."""
    return name in TALK_MEASURES or any(name in GROUPS[group] for group in _CLAIMED)


def eval_results(data: ReportData, held_out: str, revision: str | None) -> list[EvalResult]:
    """The measures in the hub's form; interval, start and people's figure are the metric's
    arguments. `held_out` names the data, `revision` is their hash."""
    settings = {} if data.after is None else data.after["settings"]
    found = []
    for name, measure in measured(data):
        if not _on_the_hub(name):
            continue
        before, after = data.held_out(name)
        people = data.people.figure(name)
        row = (data.comparison or {}).get(name, {})
        arguments = {
            "before_training": _rounded(before),
            "difference_ci_low": _rounded(row.get("ci_low")),
            "difference_ci_high": _rounded(row.get("ci_high")),
            "confidence": settings.get("confidence"),
            "temperature": settings.get("temperature"),
            "people": None if people is None or people.stale else _rounded(people.estimate.mean),
        }
        found.append(
            EvalResult(
                task_type=_TASK,
                task_name="Empathic dialogue",
                dataset_type="mint-held-out",
                dataset_name=held_out,
                dataset_revision=revision,
                metric_type=name,
                metric_name=measure.title,
                metric_value=_rounded(after),
                metric_args={key: value for key, value in arguments.items() if value is not None},
            )
        )
    return found


def _difference(change: Change, digits: int) -> str:
    if change.difference is None:
        return "–"
    shown = number(change.difference, digits, signed=True)
    return shown if change.low is None else f"{shown} {interval(change.low, change.high, digits)}"


def _canary(row: Mapping[str, Any]) -> str:
    share = row["share_at_or_below_human_median"]
    return f"{number(row['mean'], 2)}, {'–' if share is None else f'{share:.0%}'}"


def _rate(row: Mapping[str, Any]) -> str:
    return f"{number(row['rate'])} {interval(row['low'], row['high'])}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
