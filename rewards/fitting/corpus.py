"""Reads the released MINT outputs that the embedded graders are fitted and measured on.

Expected below the given folder (the layout of the public MINT repository):

    evaluation/outputs/<system>/conversations_tagged.json    replies, tactics a sentence
    evaluation/eval_outputs/<system>/*_ratings.csv           six ratings and their aggregate
    data/tagger_annotations/val/<tactic>.jsonl               sentences labelled by people
    data/lend_an_ear_eval/expert_ratings/expert*_ratings.csv ratings of whole conversations

A rating belongs to the reply of the same system, conversation and turn, where `turn_index` is the
position of the reply in its conversation, i.e. the number of messages before it.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rewards.errors import DataError
from rewards.fitting.annotated import AnnotatedSentence, read_annotated
from rewards.tactics import TACTIC_INDEX, TACTIC_NAMES
from rewards.text import split_sentences
from rewards.types import DIMENSIONS, Message

_HUMAN_INPUT = re.compile(
    r"Context \(Full Empathic Response\):\n(?P<context>.*?)\n\n- Sentence to Evaluate:\n"
    r"(?P<sentence>.*?)\n\s*### Response:",
    re.DOTALL,
)
KeyT = TypeVar("KeyT")
_SCORE = re.compile(r"<score>([01])</score>")


@dataclass(frozen=True, kw_only=True)
class CorpusReply:
    """One released reply with what is known about it."""

    system: str
    conversation_id: str
    turn_index: int
    """Number of messages before the reply."""
    seeker_turn: str
    text: str
    sentences: tuple[str, ...]
    tactics: tuple[frozenset[str], ...] | None
    """Released tactics a sentence; None when their number is not that of `sentences`."""
    ratings: tuple[float, ...] | None
    """In the order of `embedded.judge.OUTPUTS`, each in [1, 5]; None when one is missing."""
    seeker_turns: tuple[str, ...] = ()
    """All that the seeker had said before a released reply, oldest first."""
    history: tuple[Message, ...] = ()
    """All messages before a released reply, oldest first."""


@dataclass(frozen=True, kw_only=True)
class HumanReply:
    """A reply whose sentences' tactics people decided."""

    sentences: tuple[str, ...]
    tactics: tuple[frozenset[str], ...]


class Corpus(NamedTuple):
    """Everything that graders are fitted and measured on."""

    replies: list[CorpusReply]
    """Released."""
    authored: list[CorpusReply]
    """The project's own, unrated."""
    people: list[HumanReply]
    experts: list[dict[str, tuple[float, ...]]]
    """For each expert the ratings of conversations, in the order of DIMENSIONS."""
    annotated: Sequence[AnnotatedSentence] = ()
    """The project's own, in people's way of writing."""


def read_corpus(upstream: Path, authored: Path, annotated: Path) -> Corpus:
    """All of it. Raises DataError, naming the file, for one that is missing or broken."""
    return Corpus(
        read_replies(upstream),
        read_authored_replies(authored),
        read_human_replies(upstream),
        read_expert_ratings(upstream),
        read_annotated(annotated),
    )


def read_replies(upstream: Path) -> list[CorpusReply]:
    """All released replies, systems in alphabetical order.

    Raises DataError, naming the file, when one is missing, broken or joins with no rating.
    """
    folder = upstream / "evaluation" / "outputs"
    files = sorted(folder.glob("*/conversations_tagged.json"))
    if not files:
        raise DataError(f"no */conversations_tagged.json in {folder}; set upstream=PATH")
    return [reply for file in files for reply in _read_system(upstream, file)]


def read_human_replies(upstream: Path) -> list[HumanReply]:
    """The replies labelled by people, in file order. Raises DataError as `read_replies`."""
    columns = []
    for tactic in TACTIC_NAMES:
        file = upstream / "data" / "tagger_annotations" / "val" / f"{tactic}.jsonl"
        columns.append([_read_label(line, f"{file}:{i}") for i, line in enumerate(_lines(file), 1)])
    sentences: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for number, row in enumerate(zip(*columns, strict=True), 1):
        if len({(label.context, label.sentence) for label in row}) != 1:
            raise DataError(f"line {number} of the annotation files differs between tactics")
        found = frozenset(n for n, label in zip(TACTIC_NAMES, row, strict=True) if label.present)
        sentences.setdefault(row[0].context, []).append((row[0].sentence, found))
    return [
        HumanReply(sentences=tuple(t for t, _ in rows), tactics=tuple(f for _, f in rows))
        for rows in sentences.values()
    ]


def read_authored_replies(folder: Path) -> list[CorpusReply]:
    """The project's own replies with tactics (`data/annotated_replies/*.jsonl`), unrated.

    Raises DataError with file and line for a record that is not in the form of its README.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise DataError(f"no *.jsonl in {folder}; set authored=FOLDER")
    return [
        _read_authored(line, f"{file}:{number}")
        for file in files
        for number, line in enumerate(_lines(file), 1)
    ]


def read_expert_ratings(upstream: Path) -> list[dict[str, tuple[float, ...]]]:
    """For each expert the six ratings of every conversation, in the order of DIMENSIONS."""
    folder = upstream / "data" / "lend_an_ear_eval" / "expert_ratings"
    files = sorted(folder.glob("expert*_ratings.csv"))
    if not files:
        raise DataError(f"no expert*_ratings.csv in {folder}; set upstream=PATH")

    def read(row: dict[str, str]) -> tuple[str, tuple[float, ...]]:
        return row["conversation_id"], tuple(float(row[name]) for name in DIMENSIONS)

    return [_read_table(file, read) for file in files]


def agreement(replies: Sequence[CorpusReply]) -> float:
    """Share of replies, in [0, 1], with as many sentences as released tag lists."""
    return sum(reply.tactics is not None for reply in replies) / len(replies)


def _read_system(upstream: Path, file: Path) -> list[CorpusReply]:
    system = file.parent.name
    ratings = _read_ratings(upstream / "evaluation" / "eval_outputs" / system)
    try:
        records = json.loads(file.read_text(encoding="utf-8"))
        replies = [_reply(system, record, ratings) for record in records]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{file}: not in the released form: {error!r}") from error
    if all(reply.ratings is None for reply in replies):
        raise DataError(f"{file}: no reply has a complete rating in {system}'s ratings file")
    return replies


def _reply(
    system: str, record: dict[str, Any], ratings: dict[tuple[str, int], tuple[float, ...]]
) -> CorpusReply:
    history = record["conversation_history"]
    key = (str(record["conversation_id"]), len(history))
    sentences = tuple(split_sentences(record["model_response"]))
    tags = record["sentence_tactics"]
    tactics = tuple(frozenset(found) & TACTIC_INDEX.keys() for found in tags)
    return CorpusReply(
        system=system,
        conversation_id=key[0],
        turn_index=key[1],
        seeker_turn=history[-1]["content"] if history else "",
        text=record["model_response"],
        sentences=sentences,
        tactics=tactics if len(tactics) == len(sentences) else None,
        ratings=ratings.get(key),
        seeker_turns=seeker_turns(history),
        history=tuple(map(Message.parse, history)),
    )


def seeker_turns(history: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """What the seeker says in released messages, oldest first."""
    return tuple(m["content"] for m in history if m["role"] in ("user", "seeker"))


def _read_ratings(folder: Path) -> dict[tuple[str, int], tuple[float, ...]]:
    files = sorted(folder.glob("*_ratings.csv"))
    if len(files) != 1:
        raise DataError(f"{folder} must hold one *_ratings.csv, found {len(files)}")
    columns = (*DIMENSIONS, "aggregated_empathy")

    def read(row: dict[str, str]) -> tuple[tuple[str, int], tuple[float, ...]]:
        values = tuple(float(row[column] or "nan") for column in columns)
        return (row["conversation_id"], int(row["turn_index"])), values

    ratings = _read_table(files[0], read)
    return {key: values for key, values in ratings.items() if all(map(math.isfinite, values))}


def _read_table(
    file: Path, read: Callable[[dict[str, str]], tuple[KeyT, tuple[float, ...]]]
) -> dict[KeyT, tuple[float, ...]]:
    """What `read` makes of each line; DataError with file and line where it cannot."""
    found = {}
    with file.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            try:
                key, values = read(row)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{file}:{number}: {error!r}") from error
            found[key] = values
    return found


class _Label(NamedTuple):
    """One line of an annotation file."""

    context: str
    sentence: str
    present: bool


def _read_label(line: str, where: str) -> _Label:
    try:
        messages = json.loads(line)["messages"]
        given = _HUMAN_INPUT.search(messages[1]["content"])
        score = _SCORE.search(messages[2]["content"])
    except (json.JSONDecodeError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{where}: not in the released form: {error!r}") from error
    if given is None or score is None:
        raise DataError(f"{where}: no sentence or no <score> in the messages")
    return _Label(given["context"], given["sentence"].strip(), score[1] == "1")


def _read_authored(line: str, where: str) -> CorpusReply:
    try:
        record = json.loads(line)
        sentences = tuple(str(sentence["text"]) for sentence in record["sentences"])
        tactics = tuple(frozenset(sentence["tactics"]) for sentence in record["sentences"])
        name, seeker = str(record["id"]), str(record["seeker"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{where}: not in the form of the folder's README: {error!r}") from error
    unknown = sorted(set().union(*tactics) - TACTIC_INDEX.keys())
    if unknown or not sentences:
        raise DataError(
            f"{where}: {f'unknown tactic {unknown[0]!r}' if unknown else 'no sentence'}"
        )
    return CorpusReply(
        system="authored",
        conversation_id=name,
        turn_index=1,
        seeker_turn=seeker,
        text=" ".join(sentences),
        sentences=sentences,
        tactics=tactics,
        ratings=None,
    )


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from error
