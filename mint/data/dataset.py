"""Training rows: one supporter turn, with its prompt and what the reward needs to know about it.

The Parquet files have the columns of verl's RLHF dataset. Lists of unequal depth (history, tactics)
are JSON strings: Arrow would turn dicts into structs with every key of the file, most of them null.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mint.data.conversation import Conversation, SupporterTurn, Turn, supporter_turns
from mint.data.prompts import PromptConfig, chat_messages
from mint.shell.files import sha256_file
from rewards.errors import ConfigError, DataError
from rewards.tactics import NUM_TACTICS, count_tactics
from rewards.types import Message

TRAIN, VAL, CARD = "train", "val", "card.json"

Excluded = tuple[str, int | None]
"""A row to leave out: conversation and supporter turn; None stands for the whole conversation."""

_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
_EXTRA_INFO = pa.struct(
    [
        ("index", pa.int64()),
        ("split", pa.string()),
        ("conversation_id", pa.string()),
        ("turn", pa.int64()),
        ("previous_counts", pa.list_(pa.int64())),
        ("history_tactics", pa.string()),
        ("history", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(_MESSAGE)),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        ("extra_info", _EXTRA_INFO),
    ]
)


@dataclass(frozen=True, kw_only=True)
class PromptRow:
    """One supporter turn to be written by the policy."""

    conversation_id: str
    turn: int
    """0-based number of the supporter turn."""
    prompt: tuple[Message, ...]
    """The chat messages after the system prompt, possibly only the newest."""
    system: str
    """The system prompt."""
    history: tuple[Message, ...]
    """All earlier messages, without system prompt; ends with a seeker message."""
    previous_counts: tuple[int, ...]
    """Sentences of the last supporter turn that carry each tactic; zeros at the start."""
    history_tactics: tuple[tuple[tuple[str, ...], ...], ...]
    """Earlier supporter turns -> sentences -> tactics."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Conversations of one file of a data set."""

    name: str
    """"train" or "val"."""
    conversations: tuple[Conversation, ...]
    excluded: Container[Excluded] = frozenset()
    """Rows that are not written."""


def build_rows(
    conversations: Sequence[Conversation], prompts: PromptConfig
) -> list[dict[str, Any]]:
    """Parquet rows of all supporter turns, in order; "split" and "index" are still unset.

    Every supporter turn must be tagged; raises DataError naming the first that is not.
    """
    return [
        _row(conversation.conversation_id, turn, prompts)
        for conversation in conversations
        for turn in supporter_turns(conversation)
    ]


def split_conversations(
    conversations: Sequence[Conversation],
    val_fraction: float,
    seed: int,
    group: Callable[[Conversation], str] = lambda conversation: conversation.opening,
) -> tuple[Split, Split]:
    """Train and validation conversations; conversations of one `group` stay together.

    By default conversations with the same opening message do, so that no prompt is in both. About
    `val_fraction` of the conversations, in [0, 1), are held out: at least one unless it is 0.
    """
    if not 0 <= val_fraction < 1:
        raise ConfigError(f"val_fraction must be in [0, 1), got {val_fraction}")
    groups: dict[str, list[Conversation]] = {}
    for conversation in conversations:
        groups.setdefault(group(conversation), []).append(conversation)
    wanted = max(round(val_fraction * len(conversations)), int(val_fraction > 0))
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    held_out: set[str] = set()
    for name in order:
        if len(groups[name]) <= wanted:
            wanted -= len(groups[name])
            held_out.add(name)
    if val_fraction > 0 and not 0 < len(held_out) < len(groups):
        raise DataError(
            f"{len(conversations)} conversations with {len(groups)} different openings cannot be "
            "split into train and validation; give more of them, or set val_fraction=0"
        )
    train = tuple(c for c in conversations if group(c) not in held_out)
    val = tuple(c for c in conversations if group(c) in held_out)
    return Split(name=TRAIN, conversations=train), Split(name=VAL, conversations=val)


def check_output(directory: Path, overwrite: bool) -> None:
    """Raise ConfigError when `directory` cannot take a data set."""
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"output {directory} is a file; give a folder")
    if not overwrite and directory.is_dir() and any(directory.iterdir()):
        raise ConfigError(
            f"output folder {directory} is not empty; choose another one, or add --overwrite"
        )


def write_dataset(
    directory: Path, splits: Sequence[Split], prompts: PromptConfig, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write <split>.parquet and card.json into `directory`; returns the card.

    `facts` is what the caller knows (seed, tagger, input); counts and hashes are added. All files
    are complete under temporary names before the first is renamed, and the card comes last, so a
    folder with a card is whole.
    """
    existed = directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    names = [*(f"{split.name}.parquet" for split in splits), CARD]
    temporary = {name: directory / f".{name}.{os.getpid()}.tmp" for name in names}
    try:
        card = _write_files(splits, prompts, facts, temporary)
        (directory / CARD).unlink(missing_ok=True)
        for name in names:
            temporary[name].replace(directory / name)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
        if not existed and not any(directory.iterdir()):
            directory.rmdir()
    return card


def read_rows(path: str | Path) -> list[PromptRow]:
    """Rows of a Parquet file written by `write_dataset`.

    Raises ConfigError when there is no file, DataError when it has other columns or a row is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"data file {path} does not exist; `python -m mint.prepare` writes it")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from error
    if not table.schema.equals(SCHEMA):
        raise DataError(f"{path}: the columns are not those of `python -m mint.prepare`")
    return [_read_row(path, index, row) for index, row in enumerate(table.to_pylist())]


def _row(conversation_id: str, turn: SupporterTurn, prompts: PromptConfig) -> dict[str, Any]:
    tactics = [_tactics_of(conversation_id, earlier) for earlier in turn.previous]
    counts = count_tactics(tactics[-1]) if tactics else (0,) * NUM_TACTICS
    return {
        "data_source": "mint",
        "prompt": chat_messages(prompts, turn.history, tactics),
        "ability": "empathy",
        "reward_model": {"style": "rule", "ground_truth": ""},
        "extra_info": {
            "index": -1,
            "split": "",
            "conversation_id": conversation_id,
            "turn": turn.turn_index,
            "previous_counts": list(counts),
            "history_tactics": json.dumps(tactics),
            "history": json.dumps([m._asdict() for m in turn.history], ensure_ascii=False),
        },
    }


def _tactics_of(conversation_id: str, turn: Turn) -> list[list[str]]:
    if turn.sentence_tactics is None:
        raise DataError(f"conversation {conversation_id!r} has a supporter turn without tags")
    return [list(sentence.tactics) for sentence in turn.sentence_tactics]


def _write_files(
    splits: Sequence[Split],
    prompts: PromptConfig,
    facts: Mapping[str, Any],
    paths: Mapping[str, Path],
) -> dict[str, Any]:
    rows: dict[str, list[dict[str, Any]]] = {}
    files: dict[str, str] = {}
    for split in splits:
        built = ((row, row["extra_info"]) for row in build_rows(split.conversations, prompts))
        rows[split.name] = [
            row for row, i in built if (i["conversation_id"], i["turn"]) not in split.excluded
        ]
        for index, row in enumerate(rows[split.name]):
            row["extra_info"] |= {"index": index, "split": split.name}
        file = paths[f"{split.name}.parquet"]
        pq.write_table(pa.Table.from_pylist(rows[split.name], schema=SCHEMA), file)
        files[split.name] = sha256_file(file)
    everything = [row for part in rows.values() for row in part]
    conversations = [c for split in splits for c in split.conversations]
    card = {
        **facts,
        **prompts.card(),
        **_counts(conversations, everything),
        "splits": {
            split.name: {
                **_counts(split.conversations, rows[split.name]),
                "file": f"{split.name}.parquet",
                "sha256": files[split.name],
            }
            for split in splits
        },
    }
    paths[CARD].write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return card


def _counts(
    conversations: Sequence[Conversation], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    sources = {c.conversation_id: c.source for c in conversations}
    return {
        "conversations": len(conversations),
        "rows": len(rows),
        "first_turn_rows": sum(row["extra_info"]["turn"] == 0 for row in rows),
        "unique_prompts": len({row["extra_info"]["history"] for row in rows}),
        "conversations_by_source": _tally(sources.values()),
        "rows_by_source": _tally(sources[row["extra_info"]["conversation_id"]] for row in rows),
    }


def _tally(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _read_row(path: Path, index: int, row: Mapping[str, Any]) -> PromptRow:
    info = row["extra_info"]
    try:
        parsed = PromptRow(
            conversation_id=info["conversation_id"],
            turn=info["turn"],
            system=row["prompt"][0]["content"],
            prompt=tuple(Message.parse(message) for message in row["prompt"][1:]),
            history=tuple(Message.parse(message) for message in json.loads(info["history"])),
            previous_counts=tuple(info["previous_counts"]),
            history_tactics=tuple(
                tuple(tuple(sentence) for sentence in turn)
                for turn in json.loads(info["history_tactics"])
            ),
        )
        for problem in _problems(parsed):
            raise DataError(problem)
    except (DataError, TypeError, IndexError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: row {index}: {error}") from error
    return parsed


def _problems(row: PromptRow) -> Iterator[str]:
    if not row.prompt or row.prompt[-1].role != "seeker" or not row.history:
        yield "the prompt must end with a seeker message"
    if len(row.history_tactics) != row.turn:
        yield f"turn {row.turn} needs tactics of {row.turn} earlier supporter turns"
    if len(row.previous_counts) != NUM_TACTICS:
        yield f"previous_counts needs {NUM_TACTICS} entries, got {len(row.previous_counts)}"
    last = count_tactics(row.history_tactics[-1]) if row.history_tactics else (0,) * NUM_TACTICS
    if tuple(row.previous_counts) != last:
        yield f"previous_counts {row.previous_counts} are not those of the last turn, {last}"
