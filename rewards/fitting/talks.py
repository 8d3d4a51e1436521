"""Replies with what the seeker had said before them: what the judge's parts learn from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rewards.errors import DataError
from rewards.fitting.corpus import CorpusReply, read_replies, seeker_turns
from rewards.text import split_sentences

MOST_SENTENCES = 14
"""Of a reply of the training conversations, which may be an essay."""


class Talk(NamedTuple):
    """One reply in its conversation."""

    source: str
    """Name of the system that wrote it, "training", or the authored file with good or bad."""
    conversation_id: str
    turns: tuple[str, ...]
    """What the seeker had said, oldest first; at least one."""
    sentences: tuple[str, ...]
    kind: str = ""
    """What is bad about an authored reply."""


class Talks(NamedTuple):
    """All of them."""

    released: list[Talk]
    training: list[Talk]
    good: list[Talk]
    bad: list[Talk]


def read_talks(upstream: Path, authored: Path) -> Talks:
    """From the public MINT repository and the folder of authored pairs.

    Raises DataError, naming the file, for one that is missing or not in its form.
    """
    released = [talk for reply in read_replies(upstream) if (talk := _released(reply))]
    training = list(_training(upstream / "data" / "training" / "conversations_322.json"))
    good: list[Talk] = []
    bad: list[Talk] = []
    for file in _files(authored, "pairs_*.jsonl"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                for name, kept in (("good", good), ("bad", bad)):
                    talk = _talk(f"{file.stem} {name}", row["id"], row["history"], row[name])
                    kept += [] if talk is None else [talk._replace(kind=row["kind"])]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise DataError(f"{file}:{number}: not in the folder's form: {error!r}") from error
    return Talks(released, training, good, bad)


def read_comments(file: Path, labels: Path) -> list[tuple[str, frozenset[str]]]:
    """Comments of GoEmotions (arXiv 2005.00547) with their emotions; DataError as `read_talks`."""
    try:
        names = labels.read_text(encoding="utf-8").split()
        rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
        return [(row[0], frozenset(names[int(n)] for n in row[1].split(","))) for row in rows]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{file}: not in GoEmotions' form: {error!r}") from error


def _released(reply: CorpusReply) -> Talk | None:
    if not _answerable(reply.seeker_turns, reply.sentences):
        return None
    return Talk(reply.system, reply.conversation_id, reply.seeker_turns, reply.sentences)


def _training(file: Path) -> Iterator[Talk]:
    for record in _json(file):
        messages = record["conversation"]
        for place, message in enumerate(messages):
            if place and message["role"] == "supporter" and messages[place - 1]["role"] == "seeker":
                talk = _talk(
                    "training", record["conversation_id"], messages[:place], message["content"]
                )
                if talk is not None:
                    yield talk


def _talk(source: str, name: object, history: list[Mapping[str, Any]], reply: str) -> Talk | None:
    turns = seeker_turns(history)
    sentences = tuple(split_sentences(reply))
    if not _answerable(turns, sentences):
        return None
    most = MOST_SENTENCES if source == "training" else len(sentences)
    return Talk(
        source,
        f"{source.split()[0]} {name}" if "pairs" in source else str(name),
        turns,
        sentences[:most],
    )


def _answerable(turns: Sequence[str], sentences: Sequence[str]) -> bool:
    return bool(sentences) and any(turn.strip() for turn in turns)


def _json(file: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    return rows


def _files(folder: Path, pattern: str) -> list[Path]:
    files = sorted(folder.glob(pattern))
    if not files:
        raise DataError(f"no {pattern} in {folder}")
    return files
