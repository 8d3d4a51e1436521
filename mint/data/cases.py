"""The turns to be answered: held-out conversations from the files people have.

Read are: conversations in mint's JSON form; the official repository's turn records
(evaluation/outputs/gold/conversations_tagged.json) and its table of conversations
(lend_an_ear_50_conversations.csv); rows of `python -m mint.prepare` (Parquet).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from mint.data.conversation import BadRecord, check_records
from mint.data.formats import is_dialogue_table, parse_records
from mint.data.rows import Case, TurnTags, conversation_cases
from mint.shell.files import read_text
from mint.shell.tables import TABLES, csv_rows
from rewards.errors import ConfigError, DataError
from rewards.tactics import TACTIC_INDEX, TACTIC_NAMES
from rewards.types import Message

_SPEAKERS = {"Seeker": "seeker", "Supporter": "supporter"}


class Loaded(NamedTuple):
    """Supporter turns of a file in order, and the conversations that could not be used."""

    cases: list[Case]
    bad: list[BadRecord]


def load_cases(path: Path, skip_bad: bool = False) -> Loaded:
    """The supporter turns of a file.

    Raises ConfigError when it cannot be read, DataError with file and row for a bad one. With
    `skip_bad` bad conversations are returned instead, unless nothing usable is left.
    """
    if path.suffix == ".parquet":
        # Imported here: it loads pyarrow, which other files do not need.
        from mint.data.dataset import read_rows

        cases = [
            Case(
                conversation_id=row.conversation_id,
                turn=row.turn,
                history=row.history,
                tags=row.history_tactics,
                scenario=row.scenario,
                summary=row.summary,
            )
            for row in read_rows(path)
        ]
    else:
        text = read_text(path, "conversation file ")
        if path.suffix in TABLES and not is_dialogue_table(text):
            cases = _read_table(path, text)
        else:
            records = parse_records(path, text)
            if not _is_turn_record(records[0]):
                loaded = check_records(path, records, skip_bad)
                return Loaded(conversation_cases(loaded.conversations), loaded.bad)
            cases = _turn_records(path, records)
    if not cases:
        raise DataError(f"{path}: no supporter turn to answer")
    return Loaded(cases, [])


def read_cases(path: str | Path, limit: int | None = None) -> list[Case]:
    """The supporter turns of the first `limit` conversations of a file, in file order.

    Raises ConfigError when there is no such file, DataError with file and row for a bad one.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"data={path} does not exist")
    cases = load_cases(path).cases
    chosen = set(list(dict.fromkeys(case.conversation_id for case in cases))[:limit])
    return [case for case in cases if case.conversation_id in chosen]


def _is_turn_record(record: object) -> bool:
    return isinstance(record, Mapping) and "conversation_history" in record


def _turn_records(path: Path, records: Sequence[Any]) -> list[Case]:
    """Turns of the official form: {conversation_id, conversation_history, model_response, ...}."""
    replies: dict[str, list[str]] = {}
    tags: dict[str, list[TurnTags | None]] = {}
    cases = []
    for index, record in enumerate(records):
        place = f"{path}: record {index}"
        if not _is_turn_record(record) or not {"conversation_id", "model_response"} <= set(record):
            raise DataError(
                f"{place}: needs conversation_id, conversation_history and model_response"
            )
        name = str(record["conversation_id"])
        history = _history(place, record["conversation_history"])
        own, known = replies.setdefault(name, []), tags.setdefault(name, [])
        if [message.content for message in history if message.role == "supporter"] != own:
            raise DataError(
                f"{place} (id {name!r}, supporter turn {len(own)}): conversation_history does not "
                "hold the replies of the records before; give the gold conversations, not the "
                "answers of a system (those are for replies=FILE)"
            )
        cases.append(
            Case(
                conversation_id=name,
                turn=len(own),
                history=history,
                tags=tuple(known),
                reply=record["model_response"],
            )
        )
        own.append(record["model_response"])
        known.append(_record_tags(place, record))
    return cases


def _history(place: str, raw: object) -> tuple[Message, ...]:
    if not isinstance(raw, list) or not raw:
        raise DataError(f"{place}: conversation_history must be a list of messages")
    try:
        history = tuple(Message.parse(message) for message in raw)
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
    if history[-1].role != "seeker":
        raise DataError(f"{place}: conversation_history must end with the seeker's message")
    return history


def _record_tags(place: str, record: Mapping[str, Any]) -> TurnTags | None:
    if "sentence_tactics" not in record or record["sentence_tactics"] is None:
        return None
    raw = record["sentence_tactics"]
    if not isinstance(raw, list) or not all(isinstance(names, list) for names in raw):
        raise DataError(f"{place}: sentence_tactics must be a list of lists of tactics")
    for name in (name for names in raw for name in names):
        if name not in TACTIC_INDEX:
            allowed = ", ".join(TACTIC_NAMES)
            raise DataError(f"{place}: {name!r:.40} is no tactic; allowed: {allowed}")
    return tuple(tuple(names) for names in raw)


def _read_table(path: Path, text: str) -> list[Case]:
    """Conversations of the official table: columns conversation_id, full_conversation."""
    reader = csv_rows(text)
    columns = set(reader.fieldnames or ())
    if not {"conversation_id", "full_conversation"} <= columns:
        raise DataError(
            f"{path}: needs the columns conversation_id and full_conversation; it has "
            + ", ".join(map(repr, reader.fieldnames or ()))
        )
    cases: list[Case] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(reader, start=1):
        if not any((row[name] or "").strip() for name in reader.fieldnames or ()):
            continue  # spreadsheets leave rows of empty cells at the end
        first = seen.setdefault(row["conversation_id"], number)
        if first != number:
            raise DataError(
                f"{path}: row {number}: conversation_id {row['conversation_id']!r:.60} occurs "
                f"before, in row {first}"
            )
        messages = _transcript(f"{path}: row {number}", row["full_conversation"] or "")
        cases += [
            Case(
                conversation_id=row["conversation_id"],
                turn=place // 2,
                history=tuple(messages[:place]),
                tags=(None,) * (place // 2),
                reply=messages[place].content,
            )
            for place in range(1, len(messages), 2)
        ]
    return cases


def _transcript(place: str, text: str) -> list[Message]:
    """Messages of a transcript with line prefixes "Seeker:" and "Supporter:"."""
    messages: list[Message] = []
    for line in text.split("\n"):
        speaker, colon, said = line.partition(":")
        if colon and speaker.strip() in _SPEAKERS:
            role = Message.parse({"role": _SPEAKERS[speaker.strip()], "content": said.strip()})
            messages.append(role)
        elif messages:
            last = messages[-1]
            messages[-1] = last._replace(content=f"{last.content}\n{line}".rstrip())
        elif line.strip():
            raise DataError(f"{place}: the first line has no speaker: {line!r:.60}")
    roles = [message.role for message in messages]
    if not roles or roles[0] != "seeker" or any(a == b for a, b in pairwise(roles)):
        raise DataError(f"{place}: seeker and supporter must alternate, seeker first")
    return messages
