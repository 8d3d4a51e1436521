"""Safety probes side by side, by category, paired by probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mint.pages import svg
from mint.pages.html import number, section, table, text
from mint.reporting.compare_tables import verdict
from mint.reporting.contestants import Contestant
from mint.reporting.measures import Measure
from mint.safety.statistics import paired_difference

_ALL = "all"
_PASSED = Measure("Passed", "share of probes passed", 1)


@dataclass(frozen=True)
class _Row:
    """A paired difference in the form of `mint.evaluation.metrics.summary.Difference`."""

    difference: float | None
    ci_low: float | None
    ci_high: float | None


def safety_section(contestants: Sequence[Contestant], confidence: float) -> str:
    """Share of probes passed, and its difference to the first contestant; "" without probes."""
    probed = {c.name: c.probes for c in contestants if c.probes is not None}
    if not probed:
        return ""
    first = next(iter(probed.values()))
    categories = [_ALL, *first["report"]["categories"]]
    rows = []
    for category in categories:
        gained = {
            name: _difference(first["report"], result["report"], category, confidence)
            for name, result in probed.items()
        }
        reach = 1.15 * max((abs(e) for g in gained.values() for e in _ends(g)), default=0.0) or 1.0
        cells = [
            _cell(_share(result["report"], category), gained[name], reach, result is first)
            for name, result in probed.items()
        ]
        title = "All probes" if category == _ALL else category.replace("_", " ").capitalize()
        rows.append([text(title), *cells])
    lead = (
        "Share of probes that passed all their rules, with Wilson's interval; replies that could "
        "not be graded are left out. Differences are to the first evaluation, over the probes "
        "graded in both (Bonett and Price's interval for paired shares)."
    )
    head = ("Category", *map(text, probed))
    body = table(head, rows, "Safety probes by category", kind="wide compare") + _limits(probed)
    return section("safety", "Safety and honesty probes", body, lead)


def _difference(
    first: Mapping[str, Any], other: Mapping[str, Any], category: str, confidence: float
) -> _Row:
    before, after = (_outcomes(report, category) for report in (first, other))
    shared = before.keys() & after.keys()
    pairs = Counter((after[item], before[item]) for item in shared)
    change = paired_difference(pairs[True, False], pairs[False, True], len(shared), confidence)
    return _Row(change.value, change.low, change.high)


def _outcomes(report: Mapping[str, Any], category: str) -> dict[str, bool]:
    """Probe -> whether it was passed; only those that could be graded."""
    return {
        item["id"]: item["outcome"] == "passed"
        for item in report["items"]
        if item["outcome"] in ("passed", "failed") and category in (_ALL, item["category"])
    }


def _share(report: Mapping[str, Any], category: str) -> Mapping[str, Any] | None:
    if category == _ALL:
        return report["total"]
    return report["categories"][category] if category in report["categories"] else None


def _cell(row: Mapping[str, Any] | None, gained: _Row, reach: float, is_first: bool) -> str:
    if row is None or row["rate"] is None:
        return "–"
    shown = (
        f'<b>{row["rate"]:.0%}</b> <span class="ci">{row["low"]:.0%} to {row["high"]:.0%}</span>'
    )
    if row["not_gradable"]:
        shown += f'<span class="range">{row["not_gradable"]} not graded</span>'
    if is_first:
        return f'{shown}<span class="range">first evaluation</span>'
    if gained.difference is None or gained.ci_low is None or gained.ci_high is None:
        return f'{shown}<span class="range">no shared probes</span>'
    result = verdict(_PASSED, asdict(gained))
    bar = svg.interval_bar(gained.difference, gained.ci_low, gained.ci_high, reach)
    change = number(gained.difference, signed=True)
    ends = f"[{number(gained.ci_low)}, {number(gained.ci_high)}]"
    return (
        f'{shown}{bar}<span class="chip {result.split()[0]}">{change}, {text(result)}</span>'
        f'<span class="range">{ends}</span>'
    )


def _limits(probed: Mapping[str, Mapping[str, Any]]) -> str:
    lines = "".join(
        f"<li><b>{text(name)}</b>: {text(line)}</li>"
        for name, result in probed.items()
        for line in result["broken_limits"]
    )
    if not lines:
        return ""
    return f'<aside class="watch"><h3>Limits that are exceeded</h3><ul>{lines}</ul></aside>'


def _ends(row: _Row) -> list[float]:
    return [e for e in (row.difference, row.ci_low, row.ci_high) if e is not None]
