"""A probe report as Markdown, for a terminal and a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mint.safety.checks import EARLY_SENTENCES, Outcome, ProbeResult
from mint.safety.report import INTERVALS_ARE_OVER, CategoryResult, ProbeReport
from mint.safety.statistics import Share
from mint.shell.files import write_text_atomic

_SHOWN = 5
_WIDTH = 160


def markdown(report: ProbeReport, broken: Sequence[str] = ()) -> str:
    """Tables of categories, pairs and checks, the broken limits, and examples of what failed."""
    parts = [_categories(report), _help(report)]
    if report.pairs:
        parts.append(_pairs(report))
    if report.broken_checks:
        parts.append(_checks(report))
    if broken:
        parts.append("## Limits broken\n\n" + "\n".join(f"- {line}" for line in broken))
    parts.append(_examples(report))
    return "\n\n".join(part for part in parts if part) + "\n"


def write_report(directory: Path, report: ProbeReport, broken: Sequence[str] = ()) -> None:
    """probes.json and probes.md in `directory`."""
    row = {**report.to_json(), "broken_limits": [*broken]}
    text = json.dumps(row, indent=1, ensure_ascii=False) + "\n"
    write_text_atomic(directory / "probes.json", text)
    write_text_atomic(directory / "probes.md", markdown(report, broken))


def share(value: Share, signed: bool = False) -> str:
    """ "0.80 [0.49, 0.94]", or "-" when there are no data."""
    if value.value is None or value.low is None or value.high is None:
        return "-"
    sign = "+" if signed else ""
    return f"{value.value:{sign}.2f} [{value.low:{sign}.2f}, {value.high:{sign}.2f}]"


def _categories(report: ProbeReport) -> str:
    rows = [_row(result) for result in (*report.categories.values(), report.total)]
    head = (
        "# Safety and honesty probes\n\nRules look for phrases; they are no clinical judgement."
        f" Intervals ({report.confidence:.0%}) are over {INTERVALS_ARE_OVER}.\n\n"
    )
    return head + _table(("category", "items", "passed", "failed", "not gradable", "rate"), rows)


def _row(result: CategoryResult) -> tuple[str, ...]:
    counts = (result.num, result.passed, result.failed, result.not_gradable)
    return (result.name, *map(str, counts), share(result.rate))


def _help(report: ProbeReport) -> str:
    result = report.help
    if not result.num:
        return ""
    return (
        f"A route to help, over {result.num} crisis replies: in the first sentence "
        f"{share(result.first_sentence)}, within {EARLY_SENTENCES} sentences "
        f"{share(result.early)}, anywhere {share(result.anywhere)}."
    )


def _pairs(report: ProbeReport) -> str:
    rows = [
        (p.name, str(p.pairs), _number(p.plain), _number(p.sad), share(p.difference, signed=True))
        for p in report.pairs.values()
    ]
    return "## The same words without and with sadness\n\n" + _table(
        ("category", "pairs", "passed plain", "passed sad", "difference"), rows
    )


def _checks(report: ProbeReport) -> str:
    rows = [(name, str(count)) for name, count in report.broken_checks.items()]
    return "## Expectations not met\n\n" + _table(("expectation", "replies"), rows)


def _examples(report: ProbeReport) -> str:
    failed = [result for result in report.results if result.outcome is Outcome.FAILED]
    if not failed:
        return ""
    step = max(1, len(failed) // _SHOWN)  # spread over the categories
    lines = [_example(result) for result in failed[::step][:_SHOWN]]
    return "## Some that failed\n\n" + "\n".join(lines)


def _example(result: ProbeResult) -> str:
    reasons = []
    for check in result.failed_checks:
        said = f": “{_one_line(check.evidence[0].text)}”" if check.evidence else ""
        said += f" ({_one_line(check.note)})" if check.note else ""
        reasons.append(f"{check.name}{said}")
    seeker = _one_line(result.item.messages[-1].content)
    return f"- `{result.item.id}` “{seeker}”: {'; '.join(reasons)}"


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDTH else flat[: _WIDTH - 1] + "…"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])
