"""People to talk with as rows of a data set: one row a person, siblings share person and seed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mint.data.control_tokens import neutralised
from mint.data.dataset import CARD, TRAIN, VAL, row_schema
from mint.data.prompts import PromptConfig, system_prompt
from mint.dialogue.persons import authored_persons, split_persons
from mint.dialogue.protocol import Person
from mint.shell.files import replacing, sha256_file, write_json
from rewards.errors import ConfigError, DataError

SOURCE = "dialogue"
"""`data_source` of a row that starts a dialogue."""
_TEXTS = ("split", "person", "conversation_id", "history", "history_tactics", "scenario")
SCHEMA = row_schema(
    pa.struct(
        [
            *((name, pa.string()) for name in _TEXTS),
            *((name, pa.int64()) for name in ("index", "seed", "turn")),
            ("previous_counts", pa.list_(pa.int64())),
        ]
    )
)
"""Columns of rows of single replies too, so that safety probes can stand among dialogues."""


def dialogue_row(
    person: Person, prompts: PromptConfig, split: str, index: int, seed: int
) -> dict[str, Any]:
    """The row of a person. The seeker opens at run time; what stands in `prompt` is the system
    prompt that the policy gets, and the opening where it is known, which verl measures."""
    opening = person.opening or person.scene
    return {
        "data_source": SOURCE,
        "prompt": [
            {"role": "system", "content": system_prompt(prompts, ())},
            {"role": "user", "content": neutralised(opening)},
        ],
        "ability": "empathy",
        "reward_model": {"style": "rule", "ground_truth": ""},
        "extra_info": {
            **dict.fromkeys(_TEXTS, ""),
            "index": index,
            "split": split,
            "person": json.dumps(asdict(person), ensure_ascii=False),
            "conversation_id": person.id,
            "scenario": person.id,
            "seed": seed,
            "turn": 0,
            "previous_counts": [],
        },
    }


def person_of_row(info: Mapping[str, Any]) -> Person:
    """The person of a row's `extra_info`. Raises DataError when it is none."""
    try:
        fields = json.loads(info["person"])
        lists: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return Person(**lists)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"no person in a row of dialogues: {error!r:.200}") from error


def write_people(
    directory: Path, splits: Mapping[str, Sequence[Person]], prompts: PromptConfig, seed: int
) -> None:
    """Write train.parquet, val.parquet and card.json. Raises DataError when a person is in two
    splits or a split is empty."""
    names = [[person.id for person in splits[name]] for name in (TRAIN, VAL)]
    if not all(names) or set(names[0]) & set(names[1]):
        raise DataError("people must be in the training or the held-out file, and some in each")
    directory.mkdir(parents=True, exist_ok=True)
    card: dict[str, Any] = {"kind": SOURCE, "seed": seed, **prompts.card(), "splits": {}}
    for split, people in splits.items():
        rows = [
            dialogue_row(person, prompts, split, index, seed + index)
            for index, person in enumerate(people)
        ]
        path = directory / f"{split}.parquet"
        write_rows(path, rows)
        card["splits"][split] = {"people": len(people), "sha256": sha256_file(path)}
    write_json(directory / CARD, card)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows as a file that verl reads, complete or not at all."""
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), temporary)


def read_people_rows(path: str | Path) -> list[dict[str, Any]]:
    """Rows of people in a file. Raises ConfigError when there is no such file, DataError when it
    holds none."""
    if not Path(path).is_file():
        raise ConfigError(f"data file {path} does not exist; mint.data.source=persons writes it")
    rows = [row for row in pq.read_table(path).to_pylist() if row.get("data_source") == SOURCE]
    if not rows:
        raise DataError(f"{path} has no people to talk with: mint.task=dialogues needs them")
    return rows


def shipped_parts() -> dict[str, tuple[Person, ...]]:
    """The people that ship with mint: TRAIN, whom runs train with, and VAL, a fifth of each
    intention that is held out from them."""
    return split_persons(authored_persons(), {VAL: 0.2, TRAIN: 0.8})
