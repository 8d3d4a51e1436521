"""Where `mint.tag` and `mint.judge` read and write: pipes, files, or tables for a person."""

from __future__ import annotations

import codecs
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mint.filters.lines import Answered, RealStdout, available_lines, json_line
from rewards.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Show = Callable[[Answered], "RenderableType"]


def read_requests(path: str | None) -> Iterable[Sequence[bytes]]:
    """Batches of request lines: of stdin as they arrive (None), or of a file.

    A file is JSON lines; or conversations in mint's JSON form, one or a list, of which every
    supporter turn is a request {conversation_id, turn, history, reply}. Raises ConfigError when it
    cannot be read, DataError when it is neither.
    """
    if path is None:
        if sys.stdin.isatty():
            print("reading JSON lines from the terminal; Ctrl-D ends", file=sys.stderr)
        return available_lines(sys.stdin.fileno())
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"input={path} cannot be read: {error.strerror}") from error
    content = content.removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        raise DataError(f"{path}: the file is empty")
    if content.lstrip()[:1] == b"[" or _one_conversation(content):
        return [_conversation_lines(Path(path), content)]
    return [content.removesuffix(b"\n").split(b"\n")]


@contextmanager
def open_answers(
    output: Path | None, pretty: bool, stdout: RealStdout, show: Show
) -> Iterator[Callable[[Sequence[Answered]], None]]:
    """A function that takes answers as they come.

    With `output`, JSON lines go to that file, which appears when all are written; else to stdout.
    With `pretty`, stdout gets tables instead. Raises ConfigError when the file cannot be written.
    """
    console = _Terminal(stdout) if pretty else None
    lines = None if output is None else _new_file(output)

    def take(answers: Sequence[Answered]) -> None:
        text = "".join(json_line(answered.row) for answered in answers)
        if lines is not None:
            lines.write(text)
        if console is not None:
            for answered in answers:
                console.show(show(answered))
        elif lines is None:
            stdout(text)

    try:
        yield take
        if lines is not None and output is not None:
            lines.close()
            Path(lines.name).replace(output)
    finally:
        if lines is not None:
            lines.close()
            Path(lines.name).unlink(missing_ok=True)


class _Terminal:
    """Tables in colour on a terminal, plain elsewhere and where NO_COLOR is set."""

    def __init__(self, stdout: RealStdout) -> None:
        self._stdout = stdout
        self._width = min(shutil.get_terminal_size((100, 24)).columns, 140)

    def show(self, renderable: RenderableType) -> None:
        buffer = io.StringIO()
        self._console(buffer).print(renderable)
        self._stdout("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n")

    def _console(self, buffer: io.StringIO) -> Console:
        from rich.console import Console

        console = Console(file=buffer, force_terminal=self._stdout.is_terminal, width=self._width)
        # rich drops only colours for NO_COLOR; what is left (bold) is no plain text either.
        return Console(file=buffer, width=self._width) if console.no_color else console


def _new_file(path: Path) -> io.TextIOWrapper:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        return temporary.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"output={path} cannot be written: {error.strerror}") from error


def _one_conversation(content: bytes) -> bool:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "conversation" in value


def _conversation_lines(path: Path, content: bytes) -> list[bytes]:
    # Imported here to keep the pipe's start short.
    from mint.data.conversation import load_conversations, parse_conversation, supporter_turns

    if content.lstrip()[:1] == b"[":
        conversations = load_conversations(path).conversations
    else:
        try:
            record: Any = {"conversation_id": path.stem, **json.loads(content)}
            conversations = [parse_conversation(record)]
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
    return [
        json_line(
            {
                "conversation_id": conversation.conversation_id,
                "turn": turn.turn_index,
                "history": [message._asdict() for message in turn.history],
                "reply": turn.turn.message.content,
            }
        ).encode()
        for conversation in conversations
        for turn in supporter_turns(conversation)
    ]
