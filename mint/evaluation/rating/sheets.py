"""Blinded pairwise sheets for human raters, and reading them back.

A sheet is a CSV with one pair of replies a row; which system stands left is random, balanced, and
kept in a key file that raters do not get. Every sheet has its own order and sides.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mint.evaluation.rating.pairs import Pair
from mint.shell.files import read_text
from mint.shell.spreadsheets import text_cell, write_spreadsheet
from mint.shell.tables import csv_rows
from rewards.errors import ConfigError, DataError

SHEET_COLUMNS = ("item", "context", "left", "right", "choice", "comment")
KEY_COLUMNS = ("item", "sheet", "left_system", "right_system", "conversation_id", "turn")
CHOICES = ("left", "right", "tie")


class Choice(NamedTuple):
    """One rater's answer to one pair."""

    rater: str
    conversation_id: str
    turn: int
    winner: str
    """Name of the system, or "tie"."""
    chose_left: bool | None
    """None for a tie."""


class Vote(NamedTuple):
    """A choice between two replies that was made while talking."""

    conversation_id: str
    turn: int
    context: str
    left: str
    right: str
    systems: tuple[str, str]
    """Names of the left and the right system."""
    choice: str
    """One of `CHOICES`."""
    comment: str = ""


def add_vote(directory: Path, rater: str, vote: Vote) -> Path:
    """Add a vote to <directory>/<rater>.csv and key.csv, which `read_choices` reads; a second one
    for the same turn replaces the first. Returns the sheet.

    Raises DataError when the key is of other systems or the files are none of these.
    """
    sheet, key = directory / f"{rater}.csv", directory / "key.csv"
    item = f"{rater}-{vote.conversation_id}-{vote.turn}"
    keys = _kept(key, KEY_COLUMNS, item)
    others = {row[side] for row in keys for side in KEY_COLUMNS[2:4]} - set(vote.systems)
    if others:
        raise DataError(f"{key} is of other systems: {', '.join(sorted(others))}")
    cells = (item, vote.context, vote.left, vote.right, vote.choice, vote.comment)
    row = dict(zip(SHEET_COLUMNS, map(text_cell, cells), strict=True))
    own = (item, rater, *vote.systems, vote.conversation_id, str(vote.turn))
    # The key first: an item without a row in the sheet is no error, one without key is.
    write_spreadsheet(key, KEY_COLUMNS, [*keys, dict(zip(KEY_COLUMNS, own, strict=True))])
    write_spreadsheet(sheet, SHEET_COLUMNS, [*_kept(sheet, SHEET_COLUMNS, item), row])
    return sheet


def write_sheets(
    directory: Path, pairs: Sequence[Pair], names: tuple[str, str], raters: int, seed: int
) -> list[Path]:
    """Write <directory>/sheet_1.csv ... and key.csv; returns the sheets."""
    if names[0] == names[1] or "tie" in names:
        raise ConfigError(f"the systems need two different names other than tie, got {names}")
    keys: list[dict[str, object]] = []
    paths = []
    for number in range(1, raters + 1):
        rng = random.Random(f"{seed}:{number}")
        order = rng.sample(list(pairs), len(pairs))
        # As many pairs with the first system left as right, so that a habit of side cancels out.
        swapped = [i % 2 == 1 for i in range(len(order))]
        rng.shuffle(swapped)
        rows: list[dict[str, object]] = []
        for position, (pair, swap) in enumerate(zip(order, swapped, strict=True), start=1):
            item = f"{number}-{position:04d}"
            left, right = (pair.second, pair.first) if swap else (pair.first, pair.second)
            cells = (item, pair.context, left, right, "", "")
            rows.append(dict(zip(SHEET_COLUMNS, map(text_cell, cells), strict=True)))
            sides = names[::-1] if swap else names
            key = (item, f"sheet_{number}", *sides, pair.conversation_id, pair.turn)
            keys.append(dict(zip(KEY_COLUMNS, key, strict=True)))
        paths.append(directory / f"sheet_{number}.csv")
        write_spreadsheet(paths[-1], SHEET_COLUMNS, rows)
    write_spreadsheet(directory / "key.csv", KEY_COLUMNS, keys)
    return paths


def read_choices(
    key: Path, sheets: Sequence[Path], skip_unrated: bool = False
) -> tuple[list[Choice], tuple[str, str]]:
    """All answers of returned sheets, and the two systems' names.

    A rater is a file. Raises DataError with file and row for an unknown item, an item answered
    twice, an answer that is no choice and, unless `skip_unrated`, an empty answer.
    """
    known = {row["item"]: row for _, row in _read(key, KEY_COLUMNS)}
    names = sorted({row[side] for row in known.values() for side in KEY_COLUMNS[2:4]})
    if len(names) != 2:
        raise DataError(f"{key}: expected two systems, found {', '.join(names) or 'none'}")
    raters = _rater_names(sheets)
    choices = []
    for sheet in sheets:
        seen: dict[str, int] = {}
        for number, row in _read(sheet, SHEET_COLUMNS[:1] + SHEET_COLUMNS[4:5]):
            place = f"{sheet}: row {number}"
            item, answer = row["item"], row["choice"].strip().lower()
            if item not in known:
                raise DataError(f"{place}: item {item!r} is not in {key}")
            if item in seen:
                raise DataError(f"{place}: item {item!r} occurs before, in row {seen[item]}")
            seen[item] = number
            if not answer and skip_unrated:
                continue
            if answer not in CHOICES:
                got = "is not rated" if not answer else f"has the choice {row['choice']!r:.40}"
                raise DataError(
                    f"{place}: item {item!r} {got}; allowed: {', '.join(CHOICES)} "
                    "(skip_unrated=true leaves empty ones out)"
                )
            choices.append(_choice(raters[sheet], known[item], answer))
    if not choices:
        raise DataError("no pair was rated")
    return choices, (names[0], names[1])


def _kept(path: Path, columns: Sequence[str], item: str) -> list[dict[str, str]]:
    """The rows of a file, if there is one, but for an item's."""
    rows = _read(path, columns) if path.exists() else []
    return [row for _, row in rows if row["item"] != item]


def _choice(rater: str, key: Mapping[str, str], answer: str) -> Choice:
    return Choice(
        rater=rater,
        conversation_id=key["conversation_id"],
        turn=int(key["turn"]),
        winner="tie" if answer == "tie" else key[f"{answer}_system"],
        chose_left=None if answer == "tie" else answer == "left",
    )


def _rater_names(sheets: Sequence[Path]) -> dict[Path, str]:
    names = {sheet: sheet.stem for sheet in sheets}
    if len(names) != len(sheets):
        raise ConfigError("a sheet is given twice")
    if len(set(names.values())) != len(sheets):
        names = {sheet: sheet.as_posix() for sheet in sheets}
    return names


def _read(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """(row number in a spreadsheet, row); the header is row 1."""
    try:
        text = read_text(path)
    except DataError as error:
        raise DataError(f"{error}; save it so") from error
    reader = csv_rows(text)
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: the column {missing[0]!r} is missing")
    return [
        (number, {name: row[name] or "" for name in columns})
        for number, row in enumerate(reader, start=2)
        if any(value and value.strip() for name, value in row.items() if name is not None)
    ]
