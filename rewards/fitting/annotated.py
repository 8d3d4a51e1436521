"""Reads the sentences in people's way of writing that two passes have labelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from rewards.errors import DataError
from rewards.tactics import TACTIC_INDEX
from rewards.text import split_sentences


class AnnotatedSentence(NamedTuple):
    """A sentence in its reply, with the tactics that both passes gave it."""

    seeker: str
    reply: tuple[str, ...]
    """All sentences of the reply."""
    position: int
    """Which of them it is."""
    tactics: frozenset[str]


def read_annotated(folder: Path) -> list[AnnotatedSentence]:
    """The sentences of `data/annotated_sentences/*.jsonl` on which both passes agree.

    One that sentence splitting cuts is left out. Raises DataError with file and line for a record
    that is not in the form of the folder's README, or when there is none.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise DataError(f"no *.jsonl in {folder}; set annotated=FOLDER")
    found = []
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            sentence = _read(line, f"{file}:{number}")
            if sentence is not None:
                found.append(sentence)
    return found


def _read(line: str, where: str) -> AnnotatedSentence | None:
    try:
        record = json.loads(line)
        first, second = frozenset(record["first"]), frozenset(record["second"])
        reply = tuple(split_sentences(record["reply"]))
        text, seeker = record["sentence"].strip(), str(record["seeker"])
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{where}: not in the form of the folder's README: {error!r}") from error
    unknown = sorted((first | second) - TACTIC_INDEX.keys())
    if unknown:
        raise DataError(f"{where}: unknown tactic {unknown[0]!r}")
    if first != second or text not in reply:
        return None
    return AnnotatedSentence(seeker, reply, reply.index(text), first)
