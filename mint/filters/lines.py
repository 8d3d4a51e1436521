"""The loop behind `mint.tag` and `mint.judge`: JSON lines in, one JSON line out for each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from rewards.errors import DataError, MintError
from rewards.text import visible_reply
from rewards.types import Status

RequestT = TypeVar("RequestT")

BATCH = 64
"""Lines graded together at most."""
LABELS = ("id", "conversation_id", "turn")
"""Keys of an input line that its answer repeats."""
_CHUNK_BYTES = 1 << 16


class Answered(NamedTuple):
    """An input line with its answer."""

    request: Mapping[str, Any]
    """The JSON object of the line; empty when it is none."""
    row: dict[str, Any]
    """The answer with the line's labels, or {"error": reason}."""


def run_filter(
    parse: Callable[[Mapping[str, Any]], RequestT],
    answer: Callable[[list[RequestT]], list[dict[str, Any]]],
    batches: Iterable[Sequence[bytes]],
) -> Iterator[list[Answered]]:
    """Answers to lines as they come, one for each, in order.

    `parse` raises DataError for a line it cannot use; that line, or one that is no JSON object, is
    answered {"error": reason}. Whatever lines have arrived are answered together; nothing waits
    for more.
    """
    for lines in batches:
        for start in range(0, len(lines), BATCH):
            yield _answer_lines(lines[start : start + BATCH], parse, answer)


def json_line(row: Mapping[str, Any]) -> str:
    """A row as one line."""
    return json.dumps(row, ensure_ascii=False) + "\n"


class RealStdout:
    """Writes to what stdout was when the program started."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads it."""
        return os.isatty(self._fd)

    def __call__(self, text: str) -> None:
        """Write all of `text`, at once."""
        data = text.encode()
        while data:
            data = data[os.write(self._fd, data) :]


@contextmanager
def clean_stdout() -> Iterator[RealStdout]:
    """The real stdout, while all other output goes to stderr.

    Libraries print to stdout from Python and from C; both would break a pipe of JSON lines. A
    reader that went away (`| head`) ends the block quietly.
    """
    sys.stdout.flush()
    real = os.dup(1)
    os.dup2(2, 1)

    try:
        yield RealStdout(real)
    except BrokenPipeError:
        pass
    finally:
        sys.stdout.flush()
        os.dup2(real, 1)
        os.close(real)


def text_field(row: Mapping[str, Any], key: str) -> str:
    """row[key], a text that can be encoded. Raises DataError otherwise."""
    if key not in row:
        raise DataError(f"missing key {key!r}")
    return checked_text(row[key], key)


def checked_text(value: object, what: str) -> str:
    """`value` when it is text of valid Unicode. Raises DataError otherwise."""
    if not isinstance(value, str):
        raise DataError(f"{what} must be text, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{what} holds a lone surrogate, which is no character") from error
    return value


def reply_field(row: Mapping[str, Any]) -> str:
    """The visible text of row["reply"]. Raises DataError when there is none."""
    seen = visible_reply(text_field(row, "reply"))
    if seen.status is Status.TRUNCATED_THINK:
        raise DataError("the reply ends inside an unclosed <think> block")
    if seen.status is not Status.OK:
        raise DataError("the reply is empty: it has no letter or digit")
    return seen.text


def available_lines(fd: int) -> Iterator[list[bytes]]:
    """Complete lines as they arrive; blocks only while there is none. The last may lack its end."""
    rest = b""
    while chunk := os.read(fd, _CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]


def _answer_lines(
    lines: Sequence[bytes],
    parse: Callable[[Mapping[str, Any]], RequestT],
    answer: Callable[[list[RequestT]], list[dict[str, Any]]],
) -> list[Answered]:
    answers: list[Answered] = []
    requests: list[RequestT] = []
    places: list[int] = []
    for line in lines:
        row: Mapping[str, Any] = {}
        try:
            row = _object(line)
            request = parse(row)
        except DataError as error:
            answers.append(Answered(row, {**_labels(row), "error": str(error)}))
        else:
            places.append(len(answers))
            requests.append(request)
            answers.append(Answered(row, _labels(row)))
    for place, given in zip(places, _answer(requests, answer), strict=True):
        answers[place].row.update(given)
    return answers


def _labels(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in LABELS if key in row}


def _answer(
    requests: list[RequestT], answer: Callable[[list[RequestT]], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Answers to all; after a failure one by one, so that one bad text costs one line."""
    if not requests:
        return []
    try:
        return answer(requests)
    except MintError as error:
        if len(requests) == 1:
            return [{"error": str(error)}]
        return [_answer([request], answer)[0] for request in requests]


def _object(line: bytes) -> Mapping[str, Any]:
    if not line.strip():
        raise DataError("blank line; expected a JSON object")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"expected a JSON object, got {type(row).__name__}")
    return row
