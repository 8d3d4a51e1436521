"""Conversations: reading, checking and writing the JSON form of the official MINT data.

A file is a list of {conversation_id, source, model, conversation}; `conversation` alternates
messages {role: seeker | supporter, content}, seeker first. A tagged supporter message also has
`sentence_tactics: [{sentence, tactics}]`. `source`, `model` and `scenario` may be absent; other
keys (`all_tactics`) are derived data and not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from mint.data.formats import own_record, read_records
from mint.shell.files import write_text_atomic
from rewards.errors import DataError
from rewards.tactics import TACTIC_INDEX, TACTIC_NAMES
from rewards.types import Message

_MAX_LISTED = 20


class SentenceTactics(NamedTuple):
    """A sentence of a supporter message and the tactics it carries (possibly none)."""

    sentence: str
    tactics: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One message of a conversation with its tags."""

    message: Message
    sentence_tactics: tuple[SentenceTactics, ...] | None = None
    """None when the message has not been tagged; always None for the seeker."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A checked conversation: alternating turns, seeker first, at least one supporter turn."""

    conversation_id: str
    source: str
    model: str
    turns: tuple[Turn, ...]
    scenario: str = ""
    """What several conversations may be about, so that they resemble each other; "" when the file
    does not say."""

    @property
    def opening(self) -> str:
        """The first message. Conversations that share a prompt share this."""
        return self.turns[0].message.content

    @property
    def tagged(self) -> bool:
        """Whether every supporter turn has tags."""
        return all(turn.sentence_tactics is not None for turn in self.turns[1::2])


class SupporterTurn(NamedTuple):
    """A supporter turn and everything that came before it."""

    turn_index: int
    """0-based number of the supporter turn."""
    turn: Turn
    history: tuple[Message, ...]
    """All earlier messages; ends with a seeker message."""
    previous: tuple[Turn, ...]
    """Earlier supporter turns, oldest first."""


@dataclass(frozen=True)
class BadRecord:
    """A record of a file that is not a usable conversation."""

    index: int
    """0-based position in the file's list."""
    conversation_id: str | None
    reason: str

    def __str__(self) -> str:
        name = "" if self.conversation_id is None else f" (id {self.conversation_id!r:.60})"
        return f"record {self.index}{name}: {self.reason}"


class LoadResult(NamedTuple):
    """Content of a file: the usable conversations, and what was left out."""

    conversations: list[Conversation]
    bad: list[BadRecord]
    positions: Mapping[str, int]
    """conversation_id -> 0-based position in the file's list."""


def load_conversations(
    path: str | Path, skip_bad: bool = False, wanted: str = "auto"
) -> LoadResult:
    """Conversations of a file in file order, each checked; `wanted`: see `mint.data.formats`.

    Raises ConfigError when the file cannot be read; DataError with file, line and column when it
    is not JSON, and with file, record index, id and reason for every bad record (the first 20).
    With `skip_bad` bad records are returned instead, unless nothing usable is left.
    """
    return check_records(Path(path), read_records(Path(path)), skip_bad, wanted)


def check_records(
    path: Path, records: Sequence[object], skip_bad: bool, wanted: str = "auto"
) -> LoadResult:
    """What `load_conversations` makes of the records of a file."""
    conversations: list[Conversation] = []
    bad: list[BadRecord] = []
    seen: dict[str, int] = {}
    for index, record in enumerate(records):
        try:
            conversation = parse_conversation(own_record(record, f"{path.stem}-{index}", wanted))
            first = seen.setdefault(conversation.conversation_id, index)
            if first != index:
                raise DataError(f"conversation_id occurs before, in record {first}")
        except DataError as error:
            bad.append(BadRecord(index, _id_of(record), str(error)))
        else:
            conversations.append(conversation)
    if bad and not (skip_bad and conversations):
        raise DataError(describe_bad(path, bad, len(records), can_skip=bool(conversations)))
    return LoadResult(conversations, bad, seen)


def describe_bad(path: Path, bad: Sequence[BadRecord], total: int, can_skip: bool = True) -> str:
    """One line a bad record (at most 20), after a line that says how many there are."""
    hint = "; correct the file, or leave them out with --skip-bad" if can_skip else ""
    lines = [f"{path}: {len(bad)} of {total} records cannot be used{hint}"]
    lines += [f"  {path}: {record}" for record in bad[:_MAX_LISTED]]
    if len(bad) > _MAX_LISTED:
        lines.append(f"  and {len(bad) - _MAX_LISTED} more")
    return "\n".join(lines)


def parse_conversation(record: object) -> Conversation:
    """A checked conversation from one record. Raises DataError with the reason alone."""
    if not isinstance(record, Mapping):
        raise DataError(f"expected an object, got {_kind(record)}")
    conversation_id = _text_field(record, "conversation_id")
    if not conversation_id:
        raise DataError("conversation_id is missing or empty")
    if "conversation" not in record or not isinstance(record["conversation"], list):
        raise DataError("'conversation' must be a list of messages")
    turns = tuple(_parse_turn(raw, i) for i, raw in enumerate(record["conversation"]))
    _check_order(turns)
    return Conversation(
        conversation_id=conversation_id,
        source=_text_field(record, "source") or "unknown",
        model=_text_field(record, "model") or "unknown",
        turns=turns,
        scenario=_text_field(record, "scenario"),
    )


def supporter_turns(conversation: Conversation) -> Iterator[SupporterTurn]:
    """Every supporter turn with the messages and supporter turns before it."""
    turns = conversation.turns
    messages = tuple(turn.message for turn in turns)
    for place in range(1, len(turns), 2):
        yield SupporterTurn(place // 2, turns[place], messages[:place], turns[1:place:2])


def save_conversations(path: str | Path, conversations: Sequence[Conversation]) -> None:
    """Write conversations as one JSON file, replacing an old one at once."""
    records = [
        {
            "conversation_id": conversation.conversation_id,
            "source": conversation.source,
            "model": conversation.model,
            **({"scenario": conversation.scenario} if conversation.scenario else {}),
            "conversation": [_turn_record(turn) for turn in conversation.turns],
        }
        for conversation in conversations
    ]
    write_text_atomic(Path(path), json.dumps(records, indent=1, ensure_ascii=False) + "\n")


def _parse_turn(raw: object, position: int) -> Turn:
    try:
        message = Message.parse(raw)
        message.content.encode()
        tactics = None
        if message.role == "supporter" and isinstance(raw, Mapping):
            tactics = _spoken(_parse_tactics(raw.get("sentence_tactics")), message, raw)
    except DataError as error:
        raise DataError(f"message {position}: {error}") from error
    except UnicodeEncodeError as error:
        raise DataError(f"message {position}: content holds half a surrogate pair") from error
    return Turn(message=message, sentence_tactics=tactics)


def _spoken(
    tactics: tuple[SentenceTactics, ...] | None, message: Message, raw: Mapping[str, Any]
) -> tuple[SentenceTactics, ...] | None:
    """The tags without those of thoughts that the file has in the message."""
    if tactics is None or raw["content"] == message.content:
        return tactics
    return tuple(one for one in tactics if one.sentence in message.content)


def _parse_tactics(raw: object) -> tuple[SentenceTactics, ...] | None:
    if raw is None:
        return None
    if not isinstance(raw, list):
        raise DataError(f"sentence_tactics must be a list, got {_kind(raw)}")
    return tuple(_parse_sentence(entry, i) for i, entry in enumerate(raw))


def _parse_sentence(raw: object, position: int) -> SentenceTactics:
    if not isinstance(raw, Mapping) or not {"sentence", "tactics"} <= set(raw):
        raise DataError(f"sentence_tactics[{position}] needs 'sentence' and 'tactics'")
    sentence, tactics = raw["sentence"], raw["tactics"]
    if not isinstance(sentence, str) or not isinstance(tactics, list):
        raise DataError(f"sentence_tactics[{position}] needs text and a list of tactics")
    for name in tactics:
        if not isinstance(name, str) or name not in TACTIC_INDEX:
            raise DataError(f"unknown tactic {name!r:.40}; allowed: {', '.join(TACTIC_NAMES)}")
    return SentenceTactics(sentence, tuple(tactics))


def _check_order(turns: Sequence[Turn]) -> None:
    if not turns:
        raise DataError("the conversation has no messages")
    roles = [turn.message.role for turn in turns]
    if roles[0] != "seeker":
        raise DataError("the first message must be the seeker's, it is the supporter's")
    for i, (role, following) in enumerate(pairwise(roles)):
        if role == following:
            raise DataError(f"messages {i} and {i + 1} are both the {role}'s; roles must alternate")
    if "supporter" not in roles:
        raise DataError("the conversation has no supporter message")


def _turn_record(turn: Turn) -> dict[str, Any]:
    record: dict[str, Any] = {"role": turn.message.role, "content": turn.message.content}
    if turn.sentence_tactics is not None:
        record["sentence_tactics"] = [
            {"sentence": s.sentence, "tactics": list(s.tactics)} for s in turn.sentence_tactics
        ]
        used = {name for s in turn.sentence_tactics for name in s.tactics}
        record["all_tactics"] = [name for name in TACTIC_NAMES if name in used]
    return record


def _text_field(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{name} must be text, got {_kind(value)}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError(f"{name} holds half a surrogate pair")
    return value


def _id_of(record: object) -> str | None:
    if isinstance(record, Mapping) and isinstance(record.get("conversation_id"), str):
        return record["conversation_id"]
    return None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value"}
    return names[type(value)] if type(value) in names else type(value).__name__
