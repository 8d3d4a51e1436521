"""Ready replies from a file, as a `ReplySource`.

JSON lines {"conversation_id", "turn", "reply"} and optionally "sample" (default 0), "condition"
(default: any) and "truncated"; `turn` counts supporter turns from 0. Or a list of turn records of
the official repository (conversations_tagged.json), whose turns count in file order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mint.evaluation.generation import Generation
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest, Sampling
from mint.shell.files import parse_json, read_text, sha256_file, text_lines
from rewards.errors import DataError
from rewards.text import visible_reply
from rewards.types import Failure

_TOKEN = re.compile(r"\w+|[^\w\s]")
_WHOLE = (int, "a whole number >= 0")
_FIELDS: dict[str, tuple[type, str]] = {
    "conversation_id": (str, "text"),
    "reply": (str, "text"),
    "condition": (str, "text"),
    "turn": _WHOLE,
    "sample": _WHOLE,
    "truncated": (bool, "true or false"),
}


class _Ready(NamedTuple):
    place: str
    reply: str
    truncated: bool


def count_tokens(raw: str) -> int:
    """Words and punctuation marks of the visible reply: what stands for tokens where the model's
    tokenizer is not here (endpoints, ready replies)."""
    return len(_TOKEN.findall(visible_reply(raw).text))


class ReadyReplies:
    """The replies of a file. Raises DataError with file and row for a bad one."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._replies = _read(self._path)
        self._asked: set[ReplyKey] = set()

    @property
    def identity(self) -> dict[str, Any]:
        """The file's name and hash."""
        return {"kind": "replies", "file": self._path.name, "sha256": sha256_file(self._path)}

    async def stream(
        self, requests: Sequence[ReplyRequest], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Generation | Failure]]:
        """See `ReplySource`. Raises DataError naming the first turn without reply."""
        found = [self._find(request.key) for request in requests]
        missing = [request.key for request, one in zip(requests, found, strict=True) if not one]
        if missing:
            key = missing[0]
            raise DataError(
                f"{self._path} lacks {len(missing)} of {len(requests)} replies; the first is "
                f"conversation_id {key.conversation_id!r}, turn {key.turn}, sample {key.sample}"
                f" ({key.condition}); limit=N evaluates the first N conversations only"
            )
        for position, one in enumerate(found):
            if one is not None:
                yield position, Generation(one.reply, count_tokens(one.reply), one.truncated)

    async def close(self) -> None:
        """Nothing to free."""

    def _find(self, key: ReplyKey) -> _Ready | None:
        for candidate in (key, key._replace(condition="")):
            if candidate in self._replies:
                return self._replies[candidate]
        return None


def _read(path: Path) -> dict[ReplyKey, _Ready]:
    text = read_text(path, "replies=")
    rows = _records(path, text) if text.lstrip().startswith("[") else _lines(path, text)
    replies: dict[ReplyKey, _Ready] = {}
    for key, ready in rows:
        if key in replies:
            raise DataError(
                f"{ready.place}: a reply to conversation_id {key.conversation_id!r}, turn "
                f"{key.turn}, sample {key.sample} occurs before, at {replies[key].place}"
            )
        replies[key] = ready
    if not replies:
        raise DataError(f"{path}: the file holds no reply")
    return replies


def _lines(path: Path, text: str) -> Iterator[tuple[ReplyKey, _Ready]]:
    for number, line in text_lines(text):
        yield _row(f"{path}:{number}", parse_json(line, path, number))


def _row(place: str, row: object) -> tuple[ReplyKey, _Ready]:
    if not isinstance(row, Mapping):
        raise DataError(f"{place}: expected an object, got {type(row).__name__}")
    row = {"sample": 0, "condition": "", "truncated": False, **row}
    if set(row) != set(_FIELDS):
        wrong = sorted(set(row) ^ set(_FIELDS))
        allowed = ", ".join(sorted(_FIELDS))
        raise DataError(f"{place}: {wrong[0]!r} is missing or unknown; a row has {allowed}")
    for name, (kind, rule) in _FIELDS.items():
        # A truth value is a whole number to Python.
        if type(row[name]) is not kind or (kind is int and row[name] < 0):
            raise DataError(f"{place}: {name} must be {rule}, got {row[name]!r:.40}")
    key = ReplyKey(row["condition"], row["conversation_id"], row["turn"], row["sample"])
    return key, _Ready(place, row["reply"], row["truncated"])


def _records(path: Path, text: str) -> Iterator[tuple[ReplyKey, _Ready]]:
    turns: Counter[str] = Counter()
    for index, record in enumerate(parse_json(text, path)):
        place = f"{path}: record {index}"
        if not isinstance(record, Mapping) or not {"conversation_id", "model_response"} <= set(
            record
        ):
            raise DataError(f"{place}: needs conversation_id and model_response")
        name, reply = record["conversation_id"], record["model_response"]
        if not isinstance(name, str) or not isinstance(reply, str):
            raise DataError(f"{place}: conversation_id and model_response must be text")
        yield ReplyKey("", name, turns[name], 0), _Ready(place, reply, False)
        turns[name] += 1
