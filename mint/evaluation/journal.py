"""The journal of an evaluation: what has been generated and graded, so that nothing is done twice.

A JSON lines file. The first line holds the settings that decide the content; every other line is
{"kind", "key", "value"}. Lines are only ever appended, one write a batch. A run that is continued
reads it and asks only for what is missing. What is to be asked for again is named by a line of kind
"forgotten" with the key [kind, *key]; the old value stays in its line.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mint.shell.files import jsonable
from rewards.errors import ConfigError, DataError

VERSION = 1
_NOTHING = object()
_FORGOTTEN = "forgotten"
Key = tuple[str | int, ...]
KeyT = TypeVar("KeyT", bound=Key)


def fingerprint(settings: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of settings as canonical JSON."""
    text = json.dumps(jsonable(settings), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Journal:
    """An open journal. Use as a context manager; one process at a time may hold it."""

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        """Begin the journal at `path`, or continue it.

        Raises ConfigError when it was begun with other settings (naming the first that differs) or
        another process has it open, DataError when a line cannot be read.
        """
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            self._entries = self._begin(jsonable(settings))
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def get(self, kind: str, key: Sequence[str | int]) -> Any | None:
        """The recorded value; None when there is none."""
        place = (kind, tuple(key))
        return self._entries[place] if place in self._entries else None

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> Iterator[tuple[str, Key, Any]]:
        """(kind, key, value) of all that is recorded."""
        return ((kind, key, value) for (kind, key), value in self._entries.items())

    def forget(self, places: Sequence[tuple[str, Key]]) -> None:
        """Take values back, so that others can be recorded. Each (kind, key) must be recorded."""
        for place in places:
            del self._entries[place]
        self._write(
            [{"kind": _FORGOTTEN, "key": [kind, *key], "value": None} for kind, key in places]
        )

    def add(self, kind: str, values: Mapping[KeyT, Any]) -> None:
        """Record values in one write. Raises DataError for a key that is recorded already."""
        for key in values:
            if (kind, tuple(key)) in self._entries:
                raise DataError(f"{self.path}: {kind} {key} is recorded twice")
        rows = [
            {"kind": kind, "key": list(key), "value": jsonable(value)}
            for key, value in values.items()
        ]
        self._write(rows)
        for row in rows:
            self._entries[kind, tuple(row["key"])] = row["value"]

    def _begin(self, settings: dict[str, Any]) -> dict[tuple[str, Key], Any]:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"{self.path} is in use by another evaluation") from error
        rows = self._read()
        if len(rows) == 1 and isinstance(rows[0], dict) and "settings" in rows[0]:
            # A start that failed before its first answer leaves nothing that could be mixed.
            os.ftruncate(self._file, 0)
            rows = []
        if not rows:
            self._write([{"version": VERSION, "settings": settings}])
            return {}
        header = rows[0]
        if not isinstance(header, dict) or "settings" not in header:
            raise DataError(f"{self.path}:1: not the first line of a journal")
        self._check(header["settings"], settings)
        entries: dict[tuple[str, Key], Any] = {}
        for number, row in enumerate(rows[1:], start=2):
            if not isinstance(row, dict) or set(row) != {"kind", "key", "value"}:
                raise DataError(f"{self.path}:{number}: a line needs kind, key and value")
            if row["kind"] == _FORGOTTEN:
                kind, *key = row["key"]
                entries.pop((kind, tuple(key)), None)
            else:
                entries[row["kind"], tuple(row["key"])] = row["value"]
        return entries

    def _read(self) -> list[Any]:
        data = self.path.read_bytes()
        # What follows the last line end is a line whose writer was killed.
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._file, whole)
        rows = []
        for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise DataError(f"{self.path}:{number}: {error}") from error
        return rows

    def _check(self, recorded: dict[str, Any], settings: dict[str, Any]) -> None:
        changed = difference(recorded, settings)
        if changed is not None:
            name, then, now = changed
            raise ConfigError(
                f"{self.path} was begun with {name}={then}, this evaluation has {name}={now}; "
                "choose another output=DIR, or delete the journal to start over"
            )

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        data = memoryview(text.encode())
        while data:
            data = data[os.write(self._file, data) :]


def difference(old: Any, new: Any, name: str = "") -> tuple[str, str, str] | None:
    """(dotted name, old value, new value) of the first difference of two JSON values, or None."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old) | set(new)):
            then, now = (side[key] if key in side else _NOTHING for side in (old, new))
            found = difference(then, now, f"{name}.{key}" if name else key)
            if found is not None:
                return found
        return None
    return None if old == new else (name, _short(old), _short(new))


def _short(value: Any) -> str:
    return "nothing" if value is _NOTHING else json.dumps(value)[:80]
