"""The turns to be answered: held-out conversations from the files people have.

Read are: conversations in mint's JSON form; the official repository's turn records
(evaluation/outputs/gold/conversations_tagged.json) and its table of conversations
(lend_an_ear_50_conversations.csv); rows of `python -m mint.prepare` (Parquet).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mint.data.conversation import load_conversations, supporter_turns
from mint.data.dataset import PromptRow, read_rows
from mint.data.prompts import PromptConfig, chat_messages
from rewards.errors import ConfigError, DataError
from rewards.tactics import NUM_TACTICS, TACTIC_INDEX, TACTIC_NAMES, count_tactics
from rewards.types import Message

TurnTags = tuple[tuple[str, ...], ...]
_SPEAKERS = {"Seeker": "seeker", "Supporter": "supporter"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A supporter turn to be written, with the conversation's own earlier turns as history."""

    conversation_id: str
    turn: int
    """0-based supporter turn."""
    history: tuple[Message, ...]
    """Ends with a seeker message."""
    tags: tuple[TurnTags | None, ...]
    """Tactics of each earlier supporter turn by sentence; None where the file has none."""


def read_cases(path: str | Path, limit: int | None = None) -> list[Case]:
    """The supporter turns of the first `limit` conversations of a file, in file order.

    Raises ConfigError when there is no such file, DataError with file and row for a bad one.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"data={path} does not exist")
    if path.suffix == ".parquet":
        cases = [_from_row(row) for row in read_rows(path)]
    elif path.suffix == ".csv":
        cases = _read_table(path)
    else:
        cases = _read_json(path)
    if not cases:
        raise DataError(f"{path}: no supporter turn to answer")
    kept = list(dict.fromkeys(case.conversation_id for case in cases))[:limit]
    chosen = set(kept)
    return [case for case in cases if case.conversation_id in chosen]


def prompt_row(case: Case, prompts: PromptConfig) -> PromptRow:
    """The case as the policy and the graders see it. Every earlier turn must be tagged."""
    tags = [turn for turn in case.tags if turn is not None]
    if len(tags) != len(case.tags):
        raise DataError(f"conversation {case.conversation_id!r} has untagged supporter turns")
    system, *shown = chat_messages(prompts, case.history, tags)
    counts = count_tactics(tags[-1]) if tags else (0,) * NUM_TACTICS
    return PromptRow(
        conversation_id=case.conversation_id,
        turn=case.turn,
        prompt=tuple(Message.parse(message) for message in shown),
        system=system["content"],
        history=case.history,
        previous_counts=counts,
        history_tactics=tuple(tags),
    )


def row_messages(row: PromptRow) -> tuple[dict[str, str], ...]:
    """The chat messages of a row, system prompt first."""
    roles = {"seeker": "user", "supporter": "assistant"}
    shown = [{"role": roles[m.role], "content": m.content} for m in row.prompt]
    return ({"role": "system", "content": row.system}, *shown)


def _from_row(row: PromptRow) -> Case:
    return Case(
        conversation_id=row.conversation_id,
        turn=row.turn,
        history=row.history,
        tags=tuple(row.history_tactics),
    )


def _read_json(path: Path) -> list[Case]:
    try:
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        records = None  # load_conversations says what is wrong and where
    if isinstance(records, list) and records and _is_turn_record(records[0]):
        return _turn_records(path, records)
    cases = []
    for conversation in load_conversations(path).conversations:
        for turn in supporter_turns(conversation):
            tags = tuple(
                None
                if earlier.sentence_tactics is None
                else tuple(sentence.tactics for sentence in earlier.sentence_tactics)
                for earlier in turn.previous
            )
            cases.append(
                Case(
                    conversation_id=conversation.conversation_id,
                    turn=turn.turn_index,
                    history=turn.history,
                    tags=tags,
                )
            )
    return cases


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
        own = replies.setdefault(name, [])
        said = [message.content for message in history if message.role == "supporter"]
        if said != own:
            raise DataError(
                f"{place} (id {name!r}, supporter turn {len(own)}): conversation_history does not "
                "hold the replies of the records before; give the gold conversations, not the "
                "answers of a system (those are for replies=FILE)"
            )
        known = tags.setdefault(name, [])
        cases.append(Case(conversation_id=name, turn=len(own), history=history, tags=tuple(known)))
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


def _read_table(path: Path) -> list[Case]:
    """Conversations of the official table: columns conversation_id, full_conversation."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from error
    reader = csv.DictReader(io.StringIO(text))
    columns = set(reader.fieldnames or ())
    if not {"conversation_id", "full_conversation"} <= columns:
        raise DataError(f"{path}: needs the columns conversation_id and full_conversation")
    cases = []
    for number, row in enumerate(reader, start=1):
        messages = _transcript(f"{path}: row {number}", row["full_conversation"] or "")
        turns = 0
        for position, message in enumerate(messages):
            if message.role == "supporter":
                cases.append(
                    Case(
                        conversation_id=row["conversation_id"],
                        turn=turns,
                        history=tuple(messages[:position]),
                        tags=(None,) * turns,
                    )
                )
                turns += 1
    return cases


def _transcript(place: str, text: str) -> list[Message]:
    """Messages of a transcript with line prefixes "Seeker:" and "Supporter:"."""
    messages: list[Message] = []
    for line in text.splitlines():
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
