"""A table of values, free of any file format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mint.evaluation.bootstrap import Interval
from mint.reproduction.measure import Measured
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


Field = tuple[Column, Callable[[Measured], Value]]
"""A column of a table of systems, and what it shows of one."""


def systems_table(
    results: Results, name: str, title: str, fields: Sequence[Field], note: str = ""
) -> Table:
    """A row a system, a column a field."""
    return Table(
        name=name,
        title=title,
        columns=(Column("system", "System"), *(column for column, _ in fields)),
        rows=tuple(
            (results.label(folder), *(pick(one) for _, pick in fields))
            for folder, one in results.systems.items()
        ),
        note=note,
    )


def metric(key: str, title: str, digits: int = 3) -> Field:
    """The value of a metric."""
    return Column(key, title, digits), lambda one: one.values[key]


def ends(key: str) -> tuple[Field, Field]:
    """The interval of a metric."""
    low, high = interval_columns(key)
    return (low, lambda one: one.intervals[key].low), (high, lambda one: one.intervals[key].high)


def interval_columns(key: str) -> tuple[Column, Column]:
    """Columns for the two ends of an interval."""
    return Column(f"{key}_low", "from", 3), Column(f"{key}_high", "to", 3)


def interval_text(interval: Interval) -> str:
    """ "[low, high]" with two decimals, or a dash."""
    if interval.low is None or interval.high is None:
        return "–"
    return f"[{interval.low:.2f}, {interval.high:.2f}]"
