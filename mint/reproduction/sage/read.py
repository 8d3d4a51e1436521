"""Released dialogues with a simulated seeker, line by line.

A file `MODEL_result.jsonl` holds the dialogues of one model, one a line; the folder it lies in
names the simulator. Files are read as they come: resumed ones with lines that occur twice, lines
whose writer was killed, numbers written as text. What is not used is named by file and line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mint.dialogue.persons import released_person
from mint.evaluation.sage.measures import FAILURE, SUCCESS
from rewards.errors import ConfigError, DataError

PATTERN = "*_result.jsonl"
UNKNOWN = "not said"
_EMOTION_KEYS = ("emotion-point", "emotion_point", "emo_point")


@dataclass(frozen=True, kw_only=True)
class SageDialogue:
    """One dialogue of a model with a simulated seeker."""

    profile: str
    intention: str
    character: str
    final: float
    """`emo_point`: the seeker's emotion at the end."""
    emotions: tuple[float | None, ...]
    """Emotion at each of the seeker's turns, the opening line first; None where not recorded."""

    @property
    def success(self) -> bool:
        """At 100 or above."""
        return self.final >= SUCCESS

    @property
    def failure(self) -> bool:
        """Below 10."""
        return self.final < FAILURE


@dataclass(frozen=True, kw_only=True)
class SageFile:
    """The dialogues of a file, in its order."""

    path: Path
    dialogues: tuple[SageDialogue, ...]
    notes: tuple[str, ...] = ()
    """Lines left out or read with reserve, as "FILE:LINE: why"."""
    lines: int = 0
    """Lines that are not blank."""

    @property
    def model(self) -> str:
        """The name of the file without _result."""
        return self.path.stem.removesuffix("_result")

    @property
    def simulator(self) -> str:
        """The folder of the file."""
        return self.path.resolve().parent.name


@dataclass
class _Lines:
    """What has been read of a file so far."""

    path: Path
    found: list[SageDialogue] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: dict[bytes, int] = field(default_factory=dict)
    """Text of a line -> where it was first."""
    profiles: dict[str, int] = field(default_factory=dict)

    def note(self, line: int, why: str) -> None:
        self.notes.append(f"{self.path}:{line}: {why}")


def find_files(folder: Path) -> list[Path]:
    """Result files in the folder and below it. Raises ConfigError when there is none."""
    if not folder.is_dir():
        raise ConfigError(f"sage={folder} is not a folder")
    files = sorted(path for path in folder.rglob(PATTERN) if path.is_file())
    if not files:
        raise ConfigError(f"sage={folder} holds no {PATTERN}, nor do the folders below it")
    return files


def read_file(path: Path) -> SageFile:
    """The dialogues of a result file.

    Raises DataError when it cannot be read or no line of it is a dialogue.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    state, count = _Lines(path), 0
    # Only \n ends a line: a reply may hold other line separators.
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            count += 1
            _read_line(state, number, line)
    if not state.found:
        first = f"; {state.notes[0]}" if state.notes else ""
        raise DataError(f"{path}: none of {count} lines is a dialogue with its emotion{first}")
    return SageFile(path=path, dialogues=tuple(state.found), notes=tuple(state.notes), lines=count)


def _read_line(state: _Lines, number: int, line: bytes) -> None:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        state.note(number, f"left out: not UTF-8 text (byte {error.start})")
        return
    except (ValueError, RecursionError) as error:
        state.note(number, f"left out: not JSON ({str(error)[:60]})")
        return
    if not isinstance(row, Mapping):
        state.note(number, f"left out: a {type(row).__name__}, no object")
        return
    text = line.strip()
    if text in state.seen:
        state.note(number, f"left out: the same as line {state.seen[text]}")
        return
    state.seen[text] = number
    dialogue = _dialogue(state, number, row)
    if dialogue is not None:
        state.found.append(dialogue)


def _dialogue(state: _Lines, number: int, row: Mapping[str, Any]) -> SageDialogue | None:
    emotions = _emotions(row)
    final = _number(_first(row, _EMOTION_KEYS))
    if final is None:
        final = next((value for value in reversed(emotions) if value is not None), None)
        if final is None:
            state.note(number, "left out: neither emo_point nor an emotion in its history")
            return None
        state.note(number, f"no emo_point; the last emotion of its history, {final:g}, is used")
    profile = row["id"] if "id" in row else None
    if not isinstance(profile, str | int) or profile == "":
        profile = f"line {number}"
        state.note(number, "no id: paired with no other file")
    profile = str(profile)
    if profile in state.profiles:
        first = state.profiles[profile]
        state.note(number, f"profile {profile} occurs in line {first} too; both count")
    state.profiles.setdefault(profile, number)
    intention, character = _kind(row)
    return SageDialogue(
        profile=profile,
        intention=intention,
        character=character,
        final=final,
        emotions=emotions,
    )


def _kind(row: Mapping[str, Any]) -> tuple[str, str]:
    """Hidden intention and character: mint's names for those of released profiles, else as the
    file has them."""
    try:
        person = released_person(row)
    except (DataError, TypeError):
        return _said(row, "task"), _said(row, "character", "main_cha")
    return person.intention, person.temper


def _emotions(row: Mapping[str, Any]) -> tuple[float | None, ...]:
    history = row["history"] if "history" in row else None
    if isinstance(history, str):
        history = _parsed(history)
    if not isinstance(history, list):
        return ()
    turns = [turn for turn in history if isinstance(turn, Mapping)]
    return tuple(
        _number(_first(turn, _EMOTION_KEYS))
        for turn in turns
        if "role" not in turn or turn["role"] not in ("assistant", "npc", "system")
    )


def _number(value: Any) -> float | None:
    """A finite number from a number, text such as "40", or the last entry of a list of them."""
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, list):
        return _number(value[-1]) if value else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if name in row), None)


def _said(row: Mapping[str, Any], *names: str) -> str:
    value = _first(row, names)
    return value.strip() if isinstance(value, str) and value.strip() else UNKNOWN
