"""Files of text and JSON: written whole or not at all, read with the place of an error."""

from __future__ import annotations

import codecs
import fcntl
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rewards.errors import ConfigError, DataError

_BLOCK = 64 * 1024
"""Bytes looked at in one go, from the end of a file."""


def utc_now() -> str:
    """The time now, UTC, ISO 8601 with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def append_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to a JSON lines file: all of them, or none and an OSError that names the file.

    What a killed writer left of a last row is cut off first. Several processes may append to one
    file; their rows do not mix.
    """
    text = "".join(
        json.dumps(jsonable(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows
    )
    if not text:
        return
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        _lock(descriptor)
        end = _mend_tail(descriptor)
        try:
            _write_all(descriptor, text.encode())
        except OSError as error:
            os.ftruncate(descriptor, end)
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Keep other appending processes out until the file is closed."""
    # Without it, one process could take the row that another is writing for a torn one. A file
    # system without locks (some network ones) leaves that to the single write.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _mend_tail(descriptor: int) -> int:
    """End the file with a whole row; returns its size.

    A last row that lacks nothing but its line end gets one, anything less is cut off.
    """
    end = os.fstat(descriptor).st_size
    start = _last_line(descriptor, end)
    if start == end:
        return end
    if _is_row(os.pread(descriptor, end - start, start)):
        _write_all(descriptor, b"\n")
        return end + 1
    os.ftruncate(descriptor, start)
    return start


def _last_line(descriptor: int, end: int) -> int:
    """Where the text after the last line end starts, in bytes."""
    while end > 0:
        begin = max(0, end - _BLOCK)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _is_row(line: bytes) -> bool:
    # A JSON object is whole when it parses: no beginning of one does.
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a whole JSON lines file, replacing an old one at once."""
    lines = (json.dumps(jsonable(row), ensure_ascii=False, allow_nan=False) for row in rows)
    write_text_atomic(path, "".join(line + "\n" for line in lines))


def write_text_atomic(path: Path, text: str) -> None:
    """Write a text file under a temporary name in the same folder, then rename it."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to: it takes its place at the end, or goes away when
    writing fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` for a folder to be made: it takes the place of `path` at the
    end, or goes away when making it fails.

    Raises ConfigError when `path` holds something already and `overwrite` is off.
    """
    if path.exists() and not overwrite and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(f"{path} is not empty; choose another folder, or add --overwrite")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_as_usual(folder: Path) -> None:
    """Give a folder and its files the permissions that this user's files usually get: libraries
    that write weights through a temporary file leave them readable by their owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def write_json(path: Path, value: Any) -> Path:
    """Write `value`, made plain by `jsonable`, as indented JSON; returns the path."""
    write_text_atomic(path, json.dumps(jsonable(value), indent=2, ensure_ascii=False) + "\n")
    return path


def read_json(path: Path) -> Any:
    """Parsed JSON file. Raises DataError naming file, line and column."""
    return parse_json(path.read_text(encoding="utf-8"), path)


def read_json_if_there(path: Path) -> Any | None:
    """Parsed JSON file, None when there is none. Raises DataError as `read_json` does."""
    return read_json(path) if path.exists() else None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON lines file; [] when it does not exist.

    A broken last line without line end is a row whose writer was killed: it is left out. Any other
    line that is not JSON raises DataError.
    """
    return read_json_lines_counted(path)[0]


def read_json_lines_counted(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The same rows, and how many lines were left out (0 or 1)."""
    if not path.exists():
        return [], 0
    *lines, last = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if whole := _is_row(last.encode()):
        lines.append(last)
    rows = [parse_json(line, path, number) for number, line in enumerate(lines, start=1)]
    return rows, int(bool(last) and not whole)


def jsonable(value: Any) -> Any:
    """`value` with numpy scalars and arrays, tuples, paths as plain JSON; non-finite as None."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, Sequence | set | frozenset):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def read_text(path: Path, name: str = "") -> str:
    """UTF-8 text of a file, with or without byte-order mark.

    Raises ConfigError, with `name` before the path, when it cannot be read; DataError with the
    place when it is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{name}{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        other = error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        found = "it is UTF-16; save it as UTF-8" if other else f"byte {error.start}"
        raise DataError(f"{path}: not UTF-8 text ({found})") from error


def text_lines(text: str) -> Iterator[tuple[int, str]]:
    """(number from 1, line) of the lines with something in them.

    Only a line feed ends one: JSON allows what else ends lines inside its texts. A byte-order mark
    before a line, as joined files have it, is left out.
    """
    lines = (line.removeprefix("\ufeff") for line in text.split("\n"))
    return (pair for pair in enumerate(lines, start=1) if pair[1].strip())


def parse_json(text: str, path: Path, line: int | None = None) -> Any:
    """The value of JSON `text` from a file, or from its line number `line`.

    Raises DataError naming file, line and column.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{line or error.lineno}:{error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise DataError(f"{path}: brackets are nested too deeply") from error


def check_can_write(folder: Path, name: str, shown: Path | None = None) -> None:
    """Raise ConfigError unless files can be written in `folder`, which need not exist yet; `name`
    is its setting and `shown` its value. Tried, not asked: permissions do not tell what a file
    system takes."""
    there = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
    )
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".mint-", dir=there))
    except OSError as error:
        raise ConfigError(
            f"{name}={shown or folder} cannot be written: {there}: {error.strerror}"
        ) from error


def check_output_file(file: str | Path, name: str = "output", *, overwrite: bool = True) -> Path:
    """The path, once it is known that a file can be written there; `name` is its setting.

    Raises ConfigError, also for a file that is there already unless `overwrite`.
    """
    path = Path(file)
    if path.is_file() and not overwrite:
        raise ConfigError(f"{name}={path} exists; choose another file, or add --overwrite")
    if path.is_dir():
        raise ConfigError(f"{name}={path} cannot be written: it is a folder; give a file in it")
    if not (path.exists() and not path.is_file()):  # a pipe or /dev/stdout is what it is
        check_can_write(path.parent, name, path)
    return path


def check_output(directory: Path, overwrite: bool) -> None:
    """Raise ConfigError when `directory` cannot take the files of a command."""
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"output {directory} is a file; give a folder")
    check_can_write(directory, "output")
    if not overwrite and directory.is_dir() and any(directory.iterdir()):
        raise ConfigError(
            f"output folder {directory} is not empty; choose another one, or add --overwrite"
        )


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes. Raises ConfigError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"data file {path} cannot be read: {error.strerror}") from error
