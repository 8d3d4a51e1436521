"""Conversations of any file mint reads, as rows: one supporter turn with everything before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mint.data.cases import read_cases
from mint.data.conversation import BadRecord, Conversation, load_conversations, supporter_turns
from rewards.errors import ConfigError, DataError
from rewards.types import Message


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """A supporter turn. Rows are numbered from 0 in the order of training rows."""

    number: int
    conversation_id: str
    turn: int
    """0-based number of the supporter turn."""
    history: tuple[Message, ...]
    """Earlier messages; the prompt without the system message."""
    reply: str | None
    """The supporter's words; None where the file has only the prompts."""
    source: str
    model: str

    @property
    def new_messages(self) -> tuple[tuple[int, Message], ...]:
        """(position, message) of the messages that no earlier row of the conversation has."""
        last = len(self.history) - 1
        if self.reply is not None:
            return (last, self.history[last]), (last + 1, Message("supporter", self.reply))
        return tuple(enumerate(self.history))[max(0, last - 1) :]


class Loaded(NamedTuple):
    """Rows of a file in order, and what could not be used."""

    rows: tuple[AuditRow, ...]
    bad: tuple[BadRecord, ...]


def load_rows(path: Path) -> Loaded:
    """Rows of conversations (JSON), prepared rows (Parquet), or the official files.

    Conversations that cannot be used are returned, as long as one can. Raises ConfigError when the
    file cannot be read, DataError when nothing in it can be used.
    """
    if path.suffix not in (".parquet", ".csv"):
        try:
            loaded = load_conversations(path, skip_bad=True)
        except DataError:
            if not _other_form(path):
                raise
        else:
            return Loaded(_rows(loaded.conversations), tuple(loaded.bad))
    rows = tuple(
        AuditRow(
            number=number,
            conversation_id=case.conversation_id,
            turn=case.turn,
            history=case.history,
            reply=None,
            source="unknown",
            model="unknown",
        )
        for number, case in enumerate(read_cases(path))
    )
    return Loaded(rows, ())


def _other_form(path: Path) -> bool:
    """Whether the file is no list of conversations but can be read as turns."""
    try:
        read_cases(path, limit=1)
    except (ConfigError, DataError):
        return False
    return True


def _rows(conversations: Sequence[Conversation]) -> tuple[AuditRow, ...]:
    turns = [(c, turn) for c in conversations for turn in supporter_turns(c)]
    return tuple(
        AuditRow(
            number=number,
            conversation_id=conversation.conversation_id,
            turn=turn.turn_index,
            history=turn.history,
            reply=turn.turn.message.content,
            source=conversation.source,
            model=conversation.model,
        )
        for number, (conversation, turn) in enumerate(turns)
    )
