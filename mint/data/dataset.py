"""Training rows: one supporter turn, with its prompt and what the reward needs to know about it.

The Parquet files have the columns of verl's RLHF dataset. Lists of unequal depth (history, tactics)
are JSON strings: Arrow would turn dicts into structs with every key of the file, most of them null.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mint.data.conversation import Conversation
from mint.data.memory import Summary
from mint.data.prompts import PromptConfig
from mint.data.rows import PromptRow, conversation_cases, prompt_row, row_messages
from mint.shell.files import sha256_file, write_json
from rewards.errors import ConfigError, DataError
from rewards.tactics import NUM_TACTICS
from rewards.types import Message

TRAIN, VAL, CARD = "train", "val", "card.json"

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
        ("scenario", pa.string()),
    ]
)


def row_schema(extra_info: pa.StructType) -> pa.Schema:
    """The columns of verl's RLHF dataset."""
    return pa.schema(
        [
            ("data_source", pa.string()),
            ("prompt", pa.list_(_MESSAGE)),
            ("ability", pa.string()),
            ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
            ("extra_info", extra_info),
        ]
    )


SCHEMA = row_schema(_EXTRA_INFO)
_WITH_SUMMARY = row_schema(pa.struct([*_EXTRA_INFO, ("summary", pa.string())]))
"""Files whose prompts have a memory: what the policy wrote, how much it covers, and why no more."""
_WITHOUT_SCENARIO = row_schema(pa.struct([f for f in _EXTRA_INFO if f.name != "scenario"]))
"""Files that do not say the scenario."""

Splits = Mapping[str, Sequence[Conversation]]
"""Name of a file of a data set, "train" or "val" -> its conversations."""


def build_rows(
    conversations: Sequence[Conversation],
    prompts: PromptConfig,
    split: str = "",
    excluded: Container[tuple[str, int | None]] = frozenset(),
    summaries: Mapping[tuple[str, int], Summary] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Parquet rows of the supporter turns, in order, without the `excluded` ones; `summaries`: of
    what their prompts do not show, by conversation and turn.

    Raises DataError naming a conversation with a turn that has an untagged one before it.
    """
    cases = [
        replace(case, summary=summaries.get((case.conversation_id, case.turn)))
        for case in conversation_cases(conversations)
        if (case.conversation_id, case.turn) not in excluded
    ]
    return [
        parquet_row(prompt_row(case, prompts), split, index) for index, case in enumerate(cases)
    ]


def parquet_row(
    row: PromptRow, split: str, index: int, data_source: str = "mint", ability: str = "empathy"
) -> dict[str, Any]:
    """A row in the form of `SCHEMA`."""
    return {
        "data_source": data_source,
        "prompt": list(row_messages(row)),
        "ability": ability,
        "reward_model": {"style": "rule", "ground_truth": ""},
        "extra_info": {
            "index": index,
            "split": split,
            "conversation_id": row.conversation_id,
            "turn": row.turn,
            "previous_counts": list(row.previous_counts),
            "history_tactics": json.dumps(row.history_tactics),
            "history": json.dumps([m._asdict() for m in row.history], ensure_ascii=False),
            "scenario": row.scenario,
            **({} if row.summary is None else {"summary": json.dumps(row.summary)}),
        },
    }


def split_conversations(
    conversations: Sequence[Conversation], val_fraction: float, seed: int
) -> Splits:
    """Train and validation conversations; those with the same opening message stay together.

    So no prompt is in both. About `val_fraction` of the conversations, in [0, 1), are held out: at
    least one unless it is 0.
    """
    if not 0 <= val_fraction < 1:
        raise ConfigError(f"val_fraction must be in [0, 1), got {val_fraction}")
    sizes = Counter(conversation.opening for conversation in conversations)
    wanted = max(round(val_fraction * len(conversations)), int(val_fraction > 0))
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    held_out: set[str] = set()
    for opening in order:
        if sizes[opening] <= wanted:
            wanted -= sizes[opening]
            held_out.add(opening)
    if val_fraction > 0 and not 0 < len(held_out) < len(sizes):
        raise DataError(
            f"{len(conversations)} conversations with {len(sizes)} different openings cannot be "
            "split into train and validation; give more of them, or set val_fraction=0"
        )
    return {
        TRAIN: tuple(c for c in conversations if c.opening not in held_out),
        VAL: tuple(c for c in conversations if c.opening in held_out),
    }


def write_dataset(
    directory: Path,
    splits: Splits,
    prompts: PromptConfig,
    facts: Mapping[str, Any],
    excluded: Container[tuple[str, int | None]] = frozenset(),
    summaries: Mapping[tuple[str, int], Summary] = MappingProxyType({}),
) -> dict[str, Any]:
    """Write <split>.parquet and card.json into `directory`; returns the card.

    `facts` is what the caller knows (seed, tagger, input); counts and hashes are added. All files
    are complete in a temporary folder before the first is moved, and the card comes last, so a
    folder with a card is whole. `excluded`: rows to leave out, (conversation_id, supporter turn).
    """
    rows = {
        name: build_rows(own, prompts, name, excluded, summaries) for name, own in splits.items()
    }
    existed = directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix=".", suffix=".tmp", dir=directory) as folder:
            card = {**facts, **_write_files(Path(folder), splits, prompts, rows)}
            write_json(Path(folder) / CARD, card)
            (directory / CARD).unlink(missing_ok=True)
            for name in (*(f"{name}.parquet" for name in splits), CARD):
                (Path(folder) / name).replace(directory / name)
    finally:
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
    rows = _in_schema(path, table).to_pylist()
    return [_read_row(path, index, row) for index, row in enumerate(rows)]


def _in_schema(path: Path, table: pa.Table) -> pa.Table:
    """The table with the types that mint writes; pandas and others write some in other widths, add
    an index, and order columns as they like. Raises DataError."""
    has_summary = "extra_info" in table.column_names and any(
        field.name == "summary" for field in _fields(table.schema.field("extra_info").type)
    )
    for known in (*([_WITH_SUMMARY] if has_summary else []), SCHEMA, _WITHOUT_SCENARIO):
        with suppress(KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
            return table.select(known.names).cast(known)
    raise DataError(
        f"{path}: the columns are not those of `python -m mint.prepare`: "
        f"{', '.join(SCHEMA.names)}; it has {', '.join(table.column_names)}"
    )


def _fields(kind: pa.DataType) -> list[pa.Field]:
    return list(kind) if pa.types.is_struct(kind) else []


def _write_files(
    folder: Path,
    splits: Splits,
    prompts: PromptConfig,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    """Write the Parquet files; returns what the card says of them."""
    files: dict[str, str] = {}
    schema = _WITH_SUMMARY if prompts.memory else SCHEMA
    for name, own in rows.items():
        file = folder / f"{name}.parquet"
        pq.write_table(pa.Table.from_pylist(own, schema=schema), file)
        files[name] = sha256_file(file)
    return {
        **prompts.card(),
        **_counts(list(chain(*splits.values())), list(chain(*rows.values()))),
        "splits": {
            name: {
                **_counts(conversations, rows[name]),
                "file": f"{name}.parquet",
                "sha256": files[name],
            }
            for name, conversations in splits.items()
        },
    }


def _counts(
    conversations: Sequence[Conversation], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    sources = {c.conversation_id: c.source for c in conversations}
    by_row = (sources[row["extra_info"]["conversation_id"]] for row in rows)
    return {
        "conversations": len(conversations),
        "rows": len(rows),
        "first_turn_rows": sum(row["extra_info"]["turn"] == 0 for row in rows),
        "unique_prompts": len({row["extra_info"]["history"] for row in rows}),
        "conversations_by_source": dict(sorted(Counter(sources.values()).items())),
        "rows_by_source": dict(sorted(Counter(by_row).items())),
    }


def _read_row(path: Path, index: int, row: Mapping[str, Any]) -> PromptRow:
    info = row["extra_info"]
    try:
        parsed = PromptRow(
            conversation_id=info["conversation_id"],
            turn=info["turn"],
            system=row["prompt"][0]["content"],
            prompt=tuple(Message.parse(message) for message in row["prompt"][1:]),
            history=tuple(Message.parse(message) for message in json.loads(info["history"])),
            history_tactics=tuple(
                tuple(tuple(sentence) for sentence in turn)
                for turn in json.loads(info["history_tactics"])
            ),
            scenario=(info["scenario"] or "") if "scenario" in info else "",
            summary=Summary(*json.loads(info["summary"])) if info.get("summary") else None,
        )
        _check(parsed, tuple(info["previous_counts"]))
    except (DataError, TypeError, IndexError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: row {index}: {error}") from error
    return parsed


def _check(row: PromptRow, counts: tuple[int, ...]) -> None:
    if not row.prompt or row.prompt[-1].role != "seeker" or not row.history:
        raise DataError("the prompt must end with a seeker message")
    if len(row.history_tactics) != row.turn:
        raise DataError(f"turn {row.turn} needs tactics of {row.turn} earlier supporter turns")
    if len(counts) != NUM_TACTICS:
        raise DataError(f"previous_counts needs {NUM_TACTICS} entries, got {len(counts)}")
    if counts != row.previous_counts:
        raise DataError(
            f"previous_counts {counts} are not those of the last turn, {row.previous_counts}"
        )
