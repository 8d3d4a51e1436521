"""Processes that this one starts: their command lines, their output, their first error."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from rewards.errors import MintError


class TrainingError(MintError, RuntimeError):
    """Training ended without finishing."""


def read_from(path: Path, start: int) -> str:
    """Text of the file from byte `start` on."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(start)
        return file.read().decode("utf-8", errors="replace")


_PREFIX = re.compile(r"^(?:\x1b\[\d+m)?\([^)]*pid=\d+[^)]*\)(?:\x1b\[0m)?\s?")


_NOT_THE_CAUSE = ("BufferError", "SystemExit", "KeyboardInterrupt")


def first_error(log: str) -> str:
    """The exception line of the first traceback that explains something, or "".

    verl's last error is rarely the real one: clean-up code raises over it.
    """
    lines = [_PREFIX.sub("", line) for line in log.splitlines()]
    fallback = ""
    in_traceback = False
    for line in lines:
        if line.startswith("Traceback (most recent call last)"):
            in_traceback = True
        elif in_traceback and line and not line.startswith((" ", "\t")):
            in_traceback = False
            if re.match(r"^[\w.]+(Error|Exception|Exit|Interrupt|Timeout)\b", line):
                if not line.rpartition(":")[0].startswith(_NOT_THE_CAUSE):
                    return line[:400]
                fallback = fallback or line[:400]
    return fallback


def python_module(module: str, *arguments: str) -> list[str]:
    """Command line that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *arguments]
