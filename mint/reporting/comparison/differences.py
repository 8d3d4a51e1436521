"""In which settings the runs of a comparison differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mint.pages.html import more, section, table, text
from mint.reporting.comparison.contestants import Contestant
from mint.reporting.comparison.labels import differing

_SHOWN = 12
"""Settings beyond that are folded away."""
_LONGEST = 60


def differences_section(contestants: Sequence[Contestant]) -> str:
    """A row a setting, a column a run; "" for fewer than two runs and for equal ones."""
    runs = [one for one in contestants if one.run is not None]
    found = differing([one.run for one in runs if one.run is not None]) if len(runs) > 1 else {}
    if not found:
        return ""
    rows = [[text(key), *map(_shown, values)] for key, values in found.items()]
    head = ("Setting", *(text(one.run_name) for one in runs))
    body = table(head, rows[:_SHOWN], "Settings in which the runs differ", kind="wide compare")
    if rest := rows[_SHOWN:]:
        title = f"{len(rest)} more settings that differ"
        body += more(title, table(head, rest, title, kind="wide compare"))
    lead = "Every setting and every hash of data whose value is not the same in all runs."
    return section("differences", "What differs", body, lead)


def _shown(value: Any) -> str:
    said = "–" if value is None else str(value)
    return text(said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…")
