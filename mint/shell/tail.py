"""What is added to a JSON lines file while another process writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mint.shell.files import parse_json, utc_now

_KNOWN = 256
"""Bytes by which a place in a file is known again."""


class JsonLinesTail:
    """Rows that are added to a file from now on. Reads only what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._since = utc_now()
        self._offset = path.stat().st_size if path.exists() else 0

    def rows(self) -> list[dict[str, Any]]:
        """Whole rows since the last call. Raises DataError for a line that is no JSON.

        A file that has become shorter was cut by a process that goes on from an earlier row: then
        its rows whose "time" is later than this object are the new ones.
        """
        size = self._path.stat().st_size if self._path.exists() else 0
        if size == self._offset:
            return []
        cut = size < self._offset
        start = 0 if cut else self._offset
        with self._path.open("rb") as file:
            file.seek(start)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self._offset = start + end
        lines = text[:end].decode("utf-8", "replace").split("\n")
        # An empty line ends the torn row of a writer that was killed.
        rows = [parse_json(line, self._path) for line in lines if line]
        return [row for row in rows if str(row.get("time", "")) >= self._since] if cut else rows


class JsonLinesFile:
    """All rows of a JSON lines file that other processes append to, cut and replace. Reads only
    what is new; half a last row is not there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, Any]] = []
        self.broken = 0
        """Lines so far that are no JSON object."""
        self._offset = 0
        self._seen: tuple[int, ...] = ()
        self._before = b""
        """What stands before the offset: other bytes there mean that the file was cut."""

    def update(self) -> bool:
        """Read what has come; whether anything has changed."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            changed = bool(self.rows or self.broken)
            self._forget()
            return changed
        seen = (state.st_ino, state.st_size, state.st_mtime_ns)
        if seen == self._seen:
            return False
        with self._path.open("rb") as file:
            file.seek(self._offset - len(self._before))
            known = state.st_ino in self._seen[:1] and file.read(len(self._before)) == self._before
            if not known:
                self._forget()
                file.seek(0)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self._seen, self._offset = seen, self._offset + end
        self._before = (self._before + text[:end])[-_KNOWN:]
        # An empty line ends the torn row of a writer that was killed.
        for line in filter(None, text[:end].split(b"\n")):
            self._add(line)
        return end > 0 or not known

    def _add(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            self.rows.append(row)
        else:
            self.broken += 1

    def _forget(self) -> None:
        self.rows, self.broken, self._offset, self._seen, self._before = [], 0, 0, (), b""
