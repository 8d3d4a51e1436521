"""A table of values, free of any file format; tables.yaml says what its columns are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mint.pages import texts

_TEXTS = texts.read("mint.reproduction.report", "tables.yaml")


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


def columns_of(name: str) -> tuple[Column, ...]:
    """The columns of a table of tables.yaml."""
    return tuple(
        Column(key, said) if isinstance(said, str) else Column(key, *said)
        for key, said in _TEXTS[name]["columns"].items()
    )


def make(
    name: str,
    rows: Iterable[tuple[Value, ...]],
    columns: Sequence[Column] | None = None,
    file: str = "",
    **said: Any,
) -> Table:
    """A table of tables.yaml.

    `columns` replaces those of the file, `file` is the name of the table where it is not `name`,
    `said` fills in what the title and the note leave open.
    """
    texts = _TEXTS[name]
    return Table(
        name=file or name,
        title=texts["title"].format(**said),
        columns=columns_of(name) if columns is None else tuple(columns),
        rows=tuple(rows),
        note=texts["note"].format(**said) if "note" in texts else "",
    )
