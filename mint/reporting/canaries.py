"""Bad replies of 20 kinds as the judges rate them: what the reward could be gamed with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mint.pages.html import missing, number, section, spaced, table, text
from mint.reporting.data import ReportData

_NAMES = {"judge": "Judge", "second_judge": "Second judge"}


def canaries_section(data: ReportData) -> str:
    """Each kind's mean rating by each judge, and how many stay at or below the human median."""
    found = data.canaries
    if not found:
        return section("canaries", "Canaries", missing("No canaries were graded in this run."))
    kinds = list(next(iter(found.values()))["kinds"])
    heads = ["Kind of bad reply"]
    for name in found:
        heads += [f"{_NAMES[name]}: mean", "at or below the human median"]
    rows = [
        [text(spaced(kind)), *_cells({name: own["kinds"][kind] for name, own in found.items()})]
        for kind in kinds
    ]
    rows.append(["<b>all</b>", *_cells({name: own["all"] for name, own in found.items()})])
    medians = ", ".join(
        f"{_NAMES[name].lower()} {number(own['human_median'], 2)}" for name, own in found.items()
    )
    lead = (
        "The same bad replies are graded at every evaluation. Where a judge rates a kind above the "
        f"median of people's replies ({medians}), a policy can gain by it."
    )
    return section("canaries", "Canaries", table(heads, rows, "Canaries by kind and judge"), lead)


def _cells(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    cells = []
    for row in rows.values():
        share = row["share_at_or_below_human_median"]
        cells += [number(row["mean"], 2), "–" if share is None else f"{share:.0%}"]
    return cells
