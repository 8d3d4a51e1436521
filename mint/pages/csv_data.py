"""The data behind a figure as a CSV file that lies in the page."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from mint.pages.html import text

_LONGEST_NAME = 60
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take the beginning of a text for."""


def csv_link(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A link that saves the rows as CSV, named after the figure; numbers have six digits, what is
    not known is empty. Nothing is loaded for it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([list(map(_cell, head)), *(list(map(_cell, row)) for row in rows)])
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:_LONGEST_NAME] or "figure"
    address = quote(buffer.getvalue(), safe=",:/()")
    return (
        f'<p class="data"><a download="{name}.csv" href="data:text/csv;charset=utf-8,{address}" '
        f'aria-label="Data of the figure {text(title)} as CSV">Data (CSV)</a></p>'
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    shown = str(value)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
