"""Tables of text, as spreadsheets write them."""

from __future__ import annotations

import csv
import io
from typing import Any

TABLES = (".csv", ".tsv")
"""Endings of files that `csv_rows` reads."""
_LONGEST_CELL = 1 << 30


def csv_rows(text: str, **form: Any) -> csv.DictReader[str]:
    """Rows of a CSV text, cells as long as conversations are; `form`: see `csv.DictReader`.

    Spreadsheets of some languages write semicolons, and tabs where they are asked to: what the
    header has most of stands between cells.
    """
    csv.field_size_limit(_LONGEST_CELL)  # the module's own limit is below a long conversation
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    return csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, **form)
