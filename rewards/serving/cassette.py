"""Requests and answers in a file: to keep them across runs, and to replay them without servers.

Both stores are keyed by `request_key`, a hash of everything an answer depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rewards.errors import ConfigError, GraderError
from rewards.types import Failure


class Request(NamedTuple):
    """One question to a server."""

    path: str
    """Route, e.g. /v1/chat/completions."""
    body: Mapping[str, Any]
    """JSON body."""
    sample: int = 0
    """Tells equal requests apart when a reply is graded several times."""


def request_key(request: Request, model: str, revision: str) -> str:
    """Hex SHA-256 of route, model, revision, body and sample number."""
    content = [request.path, model, revision, dict(request.body), request.sample]
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class AnswerCache:
    """Good answers in an SQLite file that several processes may use at the same time."""

    def __init__(self, path: str | Path) -> None:
        """Raises ConfigError when the file cannot be opened or is something else."""
        self._path = Path(path)
        self._lock = threading.Lock()
        self._opened: tuple[int, sqlite3.Connection] | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"cache {path} cannot be opened ({error}); delete it or name another file"
            ) from error

    def get(self, key: str) -> Any | None:
        """The answer stored under the key, None when there is none."""
        with self._lock:
            try:
                query = "SELECT answer FROM answers WHERE key = ?"
                row = self._connection().execute(query, (key,)).fetchone()
            except sqlite3.Error as error:
                raise GraderError(f"cache {self._path} cannot be read: {error}") from error
        return None if row is None else json.loads(row[0])

    def put(self, key: str, answer: Any) -> None:
        """Store an answer, in place of an older one."""
        with self._lock:
            try:
                with self._connection() as connection:
                    insert = "INSERT OR REPLACE INTO answers VALUES (?, ?)"
                    connection.execute(insert, (key, json.dumps(answer)))
            except sqlite3.Error as error:
                raise GraderError(f"cache {self._path} cannot be written: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        # A connection must not cross a fork: each process opens its own.
        if self._opened is None or self._opened[0] != os.getpid():
            connection = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)"
            )
            connection.commit()
            self._opened = (os.getpid(), connection)
        return self._opened[1]


class Recorder:
    """Appends every request with its answer or failure to a JSON lines file."""

    def __init__(self, path: str | Path) -> None:
        """Raises ConfigError when the file cannot be written."""
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
        except OSError as error:
            raise ConfigError(f"record {path} cannot be written: {error.strerror}") from error

    def write(self, key: str, request: Request, result: Any) -> None:
        """One line; `result` is the answer's JSON or a Failure."""
        row = {"key": key, "path": request.path, "sample": request.sample}
        if isinstance(result, Failure):
            row["failure"] = result._asdict()
        else:
            row["answer"] = result
        line = json.dumps({**row, "request": dict(request.body)}) + "\n"
        # One write to a file opened for appending: lines of several processes do not mix.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


class Replay:
    """The answers of a recorded file. A request recorded several times gives the last answer."""

    def __init__(self, path: str | Path) -> None:
        """Raises ConfigError when the file is missing or not a recording."""
        self._results: dict[str, Any] = {}
        try:
            lines = Path(path).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"replay {path} cannot be read: {error}") from error
        for number, line in enumerate(lines, start=1):
            # A last line without line end is one whose writer was killed.
            if not line or number == len(lines):
                continue
            try:
                row = json.loads(line)
                failure = Failure(**row["failure"]) if "failure" in row else None
                self._results[row["key"]] = row["answer"] if failure is None else failure
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"replay {path}:{number} is no recorded answer: {error}"
                ) from error

    def get(self, key: str) -> Any:
        """The recorded answer or Failure; Failure "not_recorded" for an unknown request."""
        if key not in self._results:
            return Failure("not_recorded", "the replayed file has no answer to this request")
        return self._results[key]
