"""What is added to a JSON lines file while another process writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mint.shell.files import parse_json, utc_now


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
