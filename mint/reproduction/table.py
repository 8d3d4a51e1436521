"""A table of values, free of any file format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mint.evaluation.statistics.bootstrap import Interval
from mint.reproduction.results import Results


@dataclass(frozen=True)
class Checked:
    """An observed value with the published one."""

    observed: float
    published: float
    reproduces: bool


Value = str | float | Checked | None


@dataclass(frozen=True)
class Column:
    """A column; `digits` is None for text."""

    key: str
    title: str
    digits: int | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of values; the first column names the row."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""


def measures_table(
    results: Results, name: str, title: str, measures: Sequence[tuple[str, str, int]]
) -> Table:
    """A row a system and a column for each (metric, heading, digits)."""
    columns = [Column("system", "System")]
    columns += [Column(key, heading, digits) for key, heading, digits in measures]
    rows: list[tuple[Value, ...]] = [
        (results.label(folder), *(one.values[key] for key, _, _ in measures))
        for folder, one in results.systems.items()
    ]
    return Table(name=name, title=title, columns=tuple(columns), rows=tuple(rows))


def interval_columns(key: str) -> tuple[Column, Column]:
    """Columns for the two ends of an interval."""
    return Column(f"{key}_low", "from", 3), Column(f"{key}_high", "to", 3)


def interval_text(interval: Interval) -> str:
    """ "[low, high]" with two decimals, or a dash."""
    if interval.low is None or interval.high is None:
        return "–"
    return f"[{interval.low:.2f}, {interval.high:.2f}]"
