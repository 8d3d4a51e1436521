"""Rows, splits and Parquet files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mint.data import dataset
from mint.data.conversation import Conversation, SentenceTactics, Turn
from mint.data.dataset import build_rows, read_rows, split_conversations, write_dataset
from mint.data.prompts import PromptConfig
from rewards.errors import ConfigError, DataError
from rewards.types import Message

PROMPTS = PromptConfig()


def conversation(name: str, opening: str = "", turns: int = 2) -> Conversation:
    made = []
    for i in range(turns):
        tags = (
            SentenceTactics("I see.", ("validation",)),
            SentenceTactics("Why?", ("questioning", "validation") if i else ()),
        )
        made.append(Turn(message=Message("seeker", opening or f"{name} {i}")))
        made.append(Turn(message=Message("supporter", "I see. Why?"), sentence_tactics=tags))
    return Conversation(conversation_id=name, source="test", model="none", turns=tuple(made))


def write(folder: Path, count: int = 4) -> dict:
    conversations = [conversation(f"c{i}") for i in range(count)]
    return write_dataset(folder, split_conversations(conversations, 0.25, 0), PROMPTS, {"seed": 0})


def test_a_row_has_the_columns_and_values_verl_and_the_reward_need() -> None:
    first, second = build_rows([conversation("c1")], PROMPTS)
    assert [m["role"] for m in second["prompt"]] == ["system", "user", "assistant", "user"]
    assert first["extra_info"]["previous_counts"] == [0] * 10
    info = second["extra_info"]
    assert info["previous_counts"] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert json.loads(info["history_tactics"]) == [[["validation"], []]]
    assert json.loads(info["history"])[1] == {"role": "supporter", "content": "I see. Why?"}
    assert (info["conversation_id"], info["turn"]) == ("c1", 1)
    assert second["reward_model"] == {"style": "rule", "ground_truth": ""}


def test_files_that_do_not_say_the_scenario_are_read(tmp_path: Path) -> None:
    rows = build_rows([replace(conversation("c1"), scenario="exam")], PROMPTS)
    pq.write_table(pa.Table.from_pylist(rows, schema=dataset.SCHEMA), tmp_path / "new.parquet")
    assert [row.scenario for row in read_rows(tmp_path / "new.parquet")] == ["exam", "exam"]
    kept = [f for f in dataset.SCHEMA.field("extra_info").type if f.name != "scenario"]
    place = dataset.SCHEMA.get_field_index("extra_info")
    older = dataset.SCHEMA.set(place, pa.field("extra_info", pa.struct(kept)))
    pq.write_table(pa.Table.from_pylist(rows, schema=older), tmp_path / "old.parquet")
    found = read_rows(tmp_path / "old.parquet")
    assert [replace(row, scenario="exam") for row in found] == read_rows(tmp_path / "new.parquet")
    assert [row.scenario for row in found] == ["", ""]


def test_untagged_turns_are_refused() -> None:
    plain = conversation("c1")
    turns = (plain.turns[0], Turn(message=plain.turns[1].message), *plain.turns[2:])
    broken = Conversation(conversation_id="c9", source="", model="", turns=turns)
    with pytest.raises(DataError, match="'c9' has untagged supporter turns"):
        build_rows([broken], PROMPTS)


def test_files_and_card_agree(tmp_path: Path) -> None:
    card = write(tmp_path / "d", 8)
    assert card == json.loads((tmp_path / "d/card.json").read_text())
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == [
        "card.json",
        "train.parquet",
        "val.parquet",
    ]
    assert (card["conversations"], card["rows"], card["first_turn_rows"]) == (8, 16, 8)
    assert (card["unique_prompts"], card["rows_by_source"]) == (16, {"test": 16})
    assert card["splits"]["val"]["conversations"] == 2
    rows = read_rows(tmp_path / "d/train.parquet")
    assert len(rows) == card["splits"]["train"]["rows"] == 12
    assert rows[1].previous_counts[3] == 1
    assert rows[1].history_tactics == ((("validation",), ()),)
    assert rows[1].prompt == rows[1].history
    assert rows[1].system.startswith("# Role")
    raw = pq.read_table(tmp_path / "d/val.parquet").to_pylist()
    assert [row["extra_info"]["index"] for row in raw] == [0, 1, 2, 3]
    assert {row["extra_info"]["split"] for row in raw} == {"val"}


def test_a_folder_written_twice_has_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a") == write(tmp_path / "b")


def test_splits_are_disjoint_seeded_and_keep_equal_openings_together() -> None:
    many = [conversation(f"c{i}", opening=f"opening {i // 3}") for i in range(60)]
    splits = split_conversations(many, 0.2, 1)
    train, val = splits["train"], splits["val"]
    assert len(val) == 12
    assert not {c.opening for c in train} & {c.opening for c in val}
    assert split_conversations(many, 0.2, 1) == splits
    assert split_conversations(many, 0.2, 2)["val"] != val


def test_a_split_can_be_small_or_absent_but_not_impossible() -> None:
    few = [conversation("a"), conversation("b")]
    assert list(map(len, split_conversations(few, 0.01, 0).values())) == [1, 1]
    assert list(map(len, split_conversations(few, 0, 0).values())) == [2, 0]
    with pytest.raises(DataError, match="cannot be split"):
        split_conversations(few[:1], 0.1, 0)
    with pytest.raises(ConfigError, match=r"val_fraction must be in \[0, 1\), got 1"):
        split_conversations(few, 1, 0)


def test_an_empty_split_is_an_empty_file(tmp_path: Path) -> None:
    splits = split_conversations([conversation("a")], 0, 0)
    write_dataset(tmp_path / "d", splits, PROMPTS, {})
    assert read_rows(tmp_path / "d/val.parquet") == []


def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(dataset.pq, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_failed_overwrite_keeps_the_old_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "d", 4)
    before = {p.name: p.read_bytes() for p in (tmp_path / "d").iterdir()}
    monkeypatch.setattr(dataset, "sha256_file", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "d", 8)
    assert {p.name: p.read_bytes() for p in (tmp_path / "d").iterdir()} == before


def test_reading_something_else_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_rows(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello, this is no parquet file")
    with pytest.raises(DataError, match="not a Parquet file"):
        read_rows(tmp_path / "text.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="columns are not those"):
        read_rows(tmp_path / "other.parquet")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("previous_counts", [1] * 10, "are not those of the last turn"),
        ("previous_counts", [0] * 9, "needs 10 entries, got 9"),
        ("history_tactics", "[]", "turn 1 needs tactics of 1 earlier"),
        ("history_tactics", '[[["hugging"]]]', "unknown tactic 'hugging'"),
        ("history", "no json", "Expecting value"),
        ("history", "[]", "must end with a seeker message"),
        ("history", None, "NoneType"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, key: str, value: object, reason: str) -> None:
    rows = build_rows([conversation("c1")], PROMPTS)
    rows[1]["extra_info"][key] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=dataset.SCHEMA), tmp_path / "d.parquet")
    with pytest.raises(DataError, match=rf"d\.parquet: row 1: .*{reason}"):
        read_rows(tmp_path / "d.parquet")
