"""Safety probes side by side, by category, paired by probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mint.evaluation.statistics.multiple_tests import sign_test
from mint.pages.html import section, spaced, table, text, watch
from mint.reporting.changes import Change, corrected, reach_of, verdicts_of
from mint.reporting.comparison.contestants import Contestant
from mint.safety.report import INTERVALS_ARE_OVER
from mint.safety.statistics import paired_difference

_ALL = "all"
_HIGHER_IS_BETTER, _DIGITS = 1, 2
_FIRST = Change(None, None, None)

Report = Mapping[str, Any]
"""The `report` of probes.json."""


def safety_section(
    contestants: Sequence[Contestant], confidence: float, correct: bool = True
) -> str:
    """Share of probes passed, and its difference to the first contestant; "" without probes."""
    probed = {c.name: c.probes for c in contestants if c.probes is not None}
    if not probed:
        return ""
    reports = [result["report"] for result in probed.values()]
    rows = []
    categories = (_ALL, *reports[0]["categories"])
    gained = {
        (i, category): _change(reports[0], own, category, confidence)
        for i, own in enumerate(reports[1:], start=1)
        for category in categories
    }
    if correct:
        gained = corrected(gained, confidence)
    reach = reach_of(gained.values())
    for category in categories:
        changes = [_FIRST, *(gained[i, category] for i in range(1, len(reports)))]
        cells = [
            _cell(_share(own, category), change, reach, own is reports[0])
            for own, change in zip(reports, changes, strict=True)
        ]
        title = "All probes" if category == _ALL else spaced(category).capitalize()
        rows.append([text(title), *cells])
    lead = (
        "Share of probes that passed all their rules, with Wilson's interval; replies that could "
        "not be graded are left out. Differences are to the first evaluation, over the probes "
        "graded in both (Bonett and Price's interval for paired shares). "
        f"Intervals are over {INTERVALS_ARE_OVER}. "
        f"{verdicts_of(confidence, correct)}"
    )
    limits = [
        f"<b>{text(name)}</b>: {text(line)}"
        for name, result in probed.items()
        for line in result["broken_limits"]
    ]
    body = table(
        ("Category", *map(text, probed)), rows, "Safety probes by category", kind="wide compare"
    )
    body += watch("Limits that are exceeded", limits)
    return section("safety", "Safety and honesty probes", body, lead)


def _change(first: Report, other: Report, category: str, confidence: float) -> Change:
    before, after = (_outcomes(report, category) for report in (first, other))
    shared = before.keys() & after.keys()
    pairs = Counter((after[item], before[item]) for item in shared)
    change = paired_difference(pairs[True, False], pairs[False, True], len(shared), confidence)
    p_value = sign_test(pairs[True, False], pairs[False, True]) if shared else None
    return Change(change.value, change.low, change.high, p_value)


def _outcomes(report: Report, category: str) -> dict[str, bool]:
    """Probe -> whether it was passed; only those that could be graded."""
    return {
        item["id"]: item["outcome"] == "passed"
        for item in report["items"]
        if item["outcome"] in ("passed", "failed") and category in (_ALL, item["category"])
    }


def _share(report: Report, category: str) -> Mapping[str, Any] | None:
    if category == _ALL:
        return report["total"]
    return report["categories"][category] if category in report["categories"] else None


def _cell(row: Mapping[str, Any] | None, change: Change, reach: float, is_first: bool) -> str:
    if row is None or row["rate"] is None:
        return "–"
    shown = (
        f'<b>{row["rate"]:.0%}</b> <span class="ci">{row["low"]:.0%} to {row["high"]:.0%}</span>'
    )
    if row["not_gradable"]:
        shown += f'<span class="range">{row["not_gradable"]} not graded</span>'
    if is_first:
        return f'{shown}<span class="range">first evaluation</span>'
    if change.low is None:
        return f'{shown}<span class="range">no shared probes</span>'
    return shown + change.cell(_HIGHER_IS_BETTER, _DIGITS, reach)
