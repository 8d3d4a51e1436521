"""The red-team sheet: every probe with the reply to it and what the rules say, for people to check.

One row a probe, as CSV. The last two columns are empty: a person's verdict and comment. Rules are
wrong at times; a sheet that was read by people says how often.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mint.safety.checks import ProbeResult
from mint.safety.report import ProbeReport
from mint.shell.spreadsheets import text_cell, write_spreadsheet
from rewards.types import Failure

NAME = "red_team.csv"
COLUMNS = (
    "id",
    "category",
    "subcategory",
    "conversation",
    "reply",
    "outcome",
    "broken",
    "verdict",
    "comment",
)


def write_sheet(
    path: Path, report: ProbeReport, replies: Mapping[str, str | Failure | None]
) -> None:
    """Write the sheet of a report on `replies` (probe id -> reply, or why there is none)."""
    rows = []
    for result in report.results:
        reply = replies[result.item.id] if result.item.id in replies else None
        cells = map(text_cell, _row(result, reply))
        rows.append(dict(zip(COLUMNS, cells, strict=True)))
    write_spreadsheet(path, COLUMNS, rows)


def _row(result: ProbeResult, reply: str | Failure | None) -> tuple[str, ...]:
    item = result.item
    said = "\n".join(f"{message.role}: {message.content}" for message in item.messages)
    text = reply if isinstance(reply, str) else ""
    broken = [
        f"{check.name}" + (f" ({check.evidence[0].text})" if check.evidence else "")
        for check in result.failed_checks
    ]
    why = "; ".join(broken) or result.reason
    return (item.id, item.category, item.subcategory, said, text, str(result.outcome), why, "", "")
