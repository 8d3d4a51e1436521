"""Pairs and control replies in files: JSON lines, checked with file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mint.preference.pairs import Pair
from mint.shell.files import parse_json, read_text, text_lines
from rewards.errors import DataError

_ROLES = ("system", "user", "assistant")


def read_pairs(path: Path, key: str = "data.pairs=") -> list[Pair]:
    """Pairs of a JSON lines file; `key` is what names it.

    A line needs messages, chosen and rejected; conversation_id is the line's number unless given.
    Raises ConfigError when the file cannot be read, DataError with file and line.
    """
    pairs = [
        _pair(parse_json(line, path, number), f"{path}:{number}", number)
        for number, line in text_lines(read_text(path, key))
    ]
    if not pairs:
        raise DataError(f"{path}: holds no pair")
    return pairs


def _pair(row: Any, place: str, number: int) -> Pair:
    if not isinstance(row, Mapping):
        raise DataError(f"{place}: expected an object with messages, chosen and rejected")
    for name in ("chosen", "rejected"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise DataError(f"{place}: {name} must be a text, got {row.get(name)!r:.40}")
    if row["chosen"].strip() == row["rejected"].strip():
        raise DataError(f"{place}: chosen and rejected are the same reply")
    turn = row.get("turn", 0)
    if not isinstance(turn, int):
        raise DataError(f"{place}: turn must be a whole number, got {turn!r:.40}")
    return Pair(
        conversation_id=str(row.get("conversation_id", number)),
        turn=turn,
        messages=check_messages(row.get("messages"), place),
        chosen=row["chosen"],
        rejected=row["rejected"],
        scenario=str(row.get("scenario", "")),
        gaps=row.get("gaps"),
    )


def check_messages(raw: Any, place: str) -> tuple[dict[str, str], ...]:
    """Chat messages that end with the user's. Raises DataError."""
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        raise DataError(f"{place}: messages must be a list of {{role, content}}")
    messages = []
    for number, message in enumerate(raw):
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            raise DataError(f"{place}: message {number} needs a role of {', '.join(_ROLES)}")
        if not isinstance(message.get("content"), str):
            raise DataError(f"{place}: message {number} needs a text as content")
        messages.append({"role": message["role"], "content": message["content"]})
    if messages[-1]["role"] != "user":
        raise DataError(f"{place}: the last message must be the user's")
    return tuple(messages)
