"""Released systems, found in the folder, with every row checked.

    evaluation/outputs/<system>/conversations_tagged.json    replies, tactics of each sentence
    evaluation/eval_outputs/<system>/*_ratings.csv           the judge's six ratings of each reply

A reply is known by its conversation and by `turn_index`, the number of messages before it; ratings
join on these two, never on the order of a file. A folder without replies, such as the ratings of
the judge against experts, is no system.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mint.evaluation.statistics.arrays import Floats, nan_mean
from mint.shell.tables import csv_rows
from rewards.errors import ConfigError, DataError
from rewards.tactics import TACTIC_INDEX, TACTIC_NAMES
from rewards.types import DIMENSIONS, NEGATIVE_DIMENSIONS

OUTPUTS = Path("evaluation/outputs")
RATINGS = Path("evaluation/eval_outputs")
TAGGED = "conversations_tagged.json"
_SUFFIX = "_ratings.csv"
_FOLDER = re.compile(r"(?P<method>.+)_(?P<base>[^_]*?-(?P<size>\d+(?:\.\d+)?[BM]))")
_ROUNDING = 1e-3


class TurnKey(NamedTuple):
    """Which reply: comparable, so that turns sort by conversation and place."""

    conversation_id: str
    turn_index: int
    """Messages before the reply; 1 for the first supporter turn."""

    @property
    def previous(self) -> TurnKey:
        """The supporter turn before, which may not exist."""
        return TurnKey(self.conversation_id, self.turn_index - 2)

    def __str__(self) -> str:
        return f"conversation {self.conversation_id}, turn_index {self.turn_index}"


class SystemName(NamedTuple):
    """What a folder name says."""

    folder: str
    method: str
    """The folder name without the base model."""
    size: str
    """Size of the base model such as "1.7B"; "" when the name has none."""


@dataclass(frozen=True, kw_only=True)
class ReleasedTurn:
    """A supporter turn with its tactics and ratings."""

    key: TurnKey
    text: str
    tactics: frozenset[str]
    ratings: tuple[float, ...]
    """The six `DIMENSIONS`, each in [1, 5]; NaN for one the judge left out, never for all."""


@dataclass(frozen=True, kw_only=True)
class System:
    """A released system; its turns are sorted by key."""

    name: SystemName
    judge: str
    turns: tuple[ReleasedTurn, ...]


def parse_name(folder: str) -> SystemName:
    """Method and size from a folder name.

    >>> parse_name("ours1_q_dkl_Qwen3-1.7B")
    SystemName(folder='ours1_q_dkl_Qwen3-1.7B', method='ours1_q_dkl', size='1.7B')
    """
    found = _FOLDER.fullmatch(folder)
    if found is None:
        return SystemName(folder, folder, "")
    return SystemName(folder, found["method"], found["size"])


def find_systems(upstream: Path, skip: Sequence[str] = ()) -> list[str]:
    """Folder names of the released systems, sorted: those with tagged replies.

    Raises ConfigError when `upstream` holds no system or `skip` names a folder that is not there.
    """
    folders = _folders(upstream)
    systems = [name for name in folders if _has_replies(upstream, name)]
    if not systems:
        raise ConfigError(
            f"no system in {upstream / OUTPUTS}: no folder there holds {TAGGED}; upstream=PATH "
            "must be a checkout of the official repository"
        )
    unknown = sorted(set(skip) - set(folders))
    if unknown:
        raise ConfigError(f"skip names {unknown[0]!r}, which is not in {upstream / OUTPUTS}")
    return [name for name in systems if name not in skip]


def without_replies(upstream: Path, skip: Sequence[str] = ()) -> list[str]:
    """Folders of outputs and ratings that are no systems, sorted; `skip` leaves names out."""
    return [n for n in _folders(upstream) if n not in skip and not _has_replies(upstream, n)]


def _folders(upstream: Path) -> list[str]:
    return sorted(
        {
            path.name
            for parent in (OUTPUTS, RATINGS)
            for path in (upstream / parent).glob("*")
            if path.is_dir() and not path.name.startswith(".")
        }
    )


def _has_replies(upstream: Path, folder: str) -> bool:
    return (upstream / OUTPUTS / folder / TAGGED).is_file()


def read_system(upstream: Path, folder: str) -> System:
    """A system with all its turns.

    Raises DataError, with file and row, for a missing file, a row that is not in the released
    form or occurs twice, a tag that is no tactic, a rating that is no number from 1 to 5, a turn
    without any rating, a conversation with a hole in its turns, and a reply without a row of
    ratings or the other way round.
    """
    tagged = upstream / OUTPUTS / folder / TAGGED
    files = sorted((upstream / RATINGS / folder).glob(f"*{_SUFFIX}"))
    if len(files) != 1:
        raise DataError(
            f"{upstream / RATINGS / folder} must hold one *{_SUFFIX}, found {len(files)}; "
            f"skip=[{folder}] leaves the system out"
        )
    rated = files[0]
    replies, ratings = _read_replies(tagged), _read_ratings(rated)
    for key, (row, *_) in replies.items():
        where = f"{tagged}: entry {row} ({key})"
        if key.turn_index > 1 and key.previous not in replies:
            raise DataError(
                f"{where} has no supporter turn before it; turn_index {key.previous.turn_index} is "
                "missing"
            )
        if key not in ratings:
            raise DataError(f"{where} has no rating in {rated.name}")
    for key, (line, _) in ratings.items():
        if key not in replies:
            raise DataError(f"{rated}:{line}: {key} is rated but has no reply in {tagged.name}")
    turns = tuple(
        ReleasedTurn(key=key, text=text, tactics=tactics, ratings=ratings[key][1])
        for key, (_, text, tactics) in sorted(replies.items())
    )
    return System(name=parse_name(folder), judge=rated.name.removesuffix(_SUFFIX), turns=turns)


def _read_replies(file: Path) -> dict[TurnKey, tuple[int, str, frozenset[str]]]:
    """Key -> entry number, text, tactics."""
    entries = read_json(file)
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{file}: expected a list of replies")
    replies: dict[TurnKey, tuple[int, str, frozenset[str]]] = {}
    for row, entry in enumerate(entries, 1):
        where = f"{file}: entry {row}"
        key = _reply_key(entry, where)
        if key in replies:
            raise DataError(f"{where}: {key} occurs twice, first in entry {replies[key][0]}")
        text = _field(entry, "model_response", str, where)
        tags = _field(entry, "sentence_tactics", list, where)
        replies[key] = (row, text, _tactics(tags, where))
    return replies


def _reply_key(entry: Any, where: str) -> TurnKey:
    history = _field(entry, "conversation_history", list, where)
    roles = [m["role"] if isinstance(m, Mapping) and "role" in m else None for m in history]
    expected = ["user", "assistant"] * (len(history) // 2) + ["user"]
    if roles != expected:
        raise DataError(
            f"{where}: conversation_history has {len(history)} messages; it must alternate "
            "between user and assistant, and begin and end with user"
        )
    return TurnKey(_field(entry, "conversation_id", str, where), len(history))


def _field(entry: Any, name: str, kind: type, where: str) -> Any:
    if not isinstance(entry, Mapping) or name not in entry:
        raise DataError(f"{where}: no {name}")
    if not isinstance(entry[name], kind):
        found = type(entry[name]).__name__
        raise DataError(f"{where}: {name} must be {kind.__name__}, got {found}")
    return entry[name]


def _tactics(sentences: Iterable[Any], where: str) -> frozenset[str]:
    found: set[str] = set()
    for number, names in enumerate(sentences, 1):
        if not isinstance(names, list):
            raise DataError(f"{where}: sentence {number} has {names!r} in place of a tactic list")
        for name in names:
            if not isinstance(name, str) or name not in TACTIC_INDEX:
                raise DataError(
                    f"{where}: sentence {number} is tagged {name!r}, which is no tactic; allowed: "
                    f"{', '.join(TACTIC_NAMES)}"
                )
            found.add(name)
    return frozenset(found)


def _read_ratings(file: Path) -> dict[TurnKey, tuple[int, tuple[float, ...]]]:
    """Key -> line number, six ratings."""
    ratings: dict[TurnKey, tuple[int, tuple[float, ...]]] = {}
    for line, row in read_csv(file, ("conversation_id", "turn_index", *DIMENSIONS)):
        where = f"{file}:{line}"
        try:
            key = TurnKey(row["conversation_id"], int(row["turn_index"]))
        except ValueError:
            raise DataError(f"{where}: turn_index is {row['turn_index']!r}") from None
        if key in ratings:
            raise DataError(f"{where}: {key} is rated twice, first in line {ratings[key][0]}")
        values = tuple(rating(row[name], name, where) for name in DIMENSIONS)
        if not any(map(math.isfinite, values)):
            raise DataError(f"{where}: {key} is not rated")
        _check_aggregate(row, values, where)
        ratings[key] = (line, values)
    return ratings


def _check_aggregate(row: Mapping[str, str], values: Sequence[float], where: str) -> None:
    if "aggregated_empathy" not in row:
        return
    given = rating(row["aggregated_empathy"], "aggregated_empathy", where)
    expected = float(aggregate(np.array([values]))[0])
    if not abs(given - expected) <= _ROUNDING:
        raise DataError(
            f"{where}: aggregated_empathy is {given:g}, but its ratings give {expected:.4f}"
        )


def aggregate(ratings_ND: Floats) -> Floats:
    """[N] mean of the given ratings with the negative dimensions mirrored (6 - x), in [1, 5].

    A rating the judge left out (NaN) is skipped, as in the published evaluation; where none is
    missing this is `rewards.types.aggregate_empathy`.
    """
    negative_D = np.array([name in NEGATIVE_DIMENSIONS for name in DIMENSIONS])
    return nan_mean(np.where(negative_D, 6.0 - ratings_ND, ratings_ND))


def rating(value: str | None, name: str, where: str) -> float:
    """A rating from 1 to 5, or NaN for an empty cell. Raises DataError, beginning with `where`."""
    if not value:
        return math.nan
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 1.0 <= number <= 5.0:
        raise DataError(f"{where}: {name} is {value!r}; it must be a number from 1 to 5 or empty")
    return number


def read_csv(file: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Line number and row of every row. Raises DataError when the file or a column is missing."""
    reader = csv_rows(_read(file, "utf-8-sig"))
    missing = [name for name in columns if name not in (reader.fieldnames or [])]
    if missing:
        raise DataError(f"{file}:1: no column {missing[0]}")
    return [(reader.line_num, row) for row in reader]


def read_json(file: Path) -> Any:
    """A JSON file. Raises DataError when it is missing or broken."""
    try:
        return json.loads(_read(file, "utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not JSON: {error}") from error


def _read(file: Path, encoding: str) -> str:
    try:
        return file.read_bytes().decode(encoding)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text: {error.reason}") from error
