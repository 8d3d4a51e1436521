"""Reading and checking conversation files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mint.data.conversation import (
    load_conversations,
    parse_conversation,
    save_conversations,
    supporter_turns,
)
from rewards.errors import ConfigError, DataError


def record(**changes: Any) -> dict[str, Any]:
    return {
        "conversation_id": "c1",
        "source": "test",
        "model": "none",
        "conversation": [
            {"role": "seeker", "content": "My cat is ill."},
            {
                "role": "supporter",
                "content": "That is hard. How is she now?",
                "sentence_tactics": [
                    {"sentence": "That is hard.", "tactics": ["validation"]},
                    {"sentence": "How is she now?", "tactics": ["questioning", "validation"]},
                ],
                "all_tactics": ["validation", "questioning"],
            },
            {"role": "seeker", "content": "Asleep."},
            {"role": "supporter", "content": ""},
        ],
    } | changes


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def messages(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": "x"} for role in roles]


def test_a_conversation_keeps_messages_and_tags() -> None:
    conversation = parse_conversation(record())
    assert [t.message.role for t in conversation.turns] == ["seeker", "supporter"] * 2
    tags = conversation.turns[1].sentence_tactics
    assert tags is not None
    assert tags[1].sentence == "How is she now?"
    assert tags[1].tactics == ("questioning", "validation")
    assert conversation.turns[3].sentence_tactics is None


def test_supporter_turns_have_everything_before_them() -> None:
    first, second = supporter_turns(parse_conversation(record()))
    assert (first.turn_index, len(first.history), first.previous) == (0, 1, ())
    assert (second.turn_index, len(second.history)) == (1, 3)
    assert second.history[-1].content == "Asleep."
    assert second.previous == (first.turn,)


def test_saved_conversations_load_unchanged(tmp_path: Path) -> None:
    original = [parse_conversation(record()), parse_conversation(record(conversation_id="é-2"))]
    save_conversations(tmp_path / "c.json", original)
    assert load_conversations(tmp_path / "c.json").conversations == original


def test_source_and_model_may_be_absent_and_chat_roles_are_understood() -> None:
    raw = {"conversation_id": "a", "conversation": messages("user", "assistant", "user")}
    conversation = parse_conversation(raw)
    assert (conversation.source, conversation.model) == ("unknown", "unknown")
    assert [t.message.role for t in conversation.turns] == ["seeker", "supporter", "seeker"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([], "expected an object"),
        ({"conversation": messages("seeker", "supporter")}, "conversation_id"),
        (record(conversation_id=7), "conversation_id must be text"),
        (record(source=[]), "source must be text, got a list"),
        (record(conversation="hello"), "list of messages"),
        (record(conversation=[]), "no messages"),
        (record(conversation=messages("supporter", "seeker")), "first message must be the seeker"),
        (record(conversation=messages("seeker", "seeker")), "messages 0 and 1 are both"),
        (record(conversation=messages("seeker")), "no supporter message"),
        (record(conversation=messages("seeker", "system")), "message 1: role must be one of"),
        (record(conversation=[{"role": "seeker"}]), "message 0: a message needs"),
        (record(conversation=[{"role": "seeker", "content": 3}]), "content must be text"),
        (record(conversation=[{"role": "seeker", "content": "\ud83d"}]), "surrogate"),
    ],
)
def test_a_bad_record_is_refused_with_a_reason(bad: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        parse_conversation(bad)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ("validation", "must be a list, got text"),
        ([{"sentence": "x"}], r"sentence_tactics\[0\] needs"),
        ([{"sentence": "x", "tactics": "validation"}], "a list of tactics"),
        ([{"sentence": "x", "tactics": ["hugging"]}], "unknown tactic 'hugging'; allowed: info"),
    ],
)
def test_bad_tags_are_refused(tags: Any, reason: str) -> None:
    raw = messages("seeker", "supporter")
    raw[1]["sentence_tactics"] = tags
    with pytest.raises(DataError, match=reason):
        parse_conversation(record(conversation=raw))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "c.json: the file is empty"),
        ("[]", "holds no conversation"),
        ('{"a": 1}', "expected a JSON list of conversations, got an object"),
        ('[{"a": 1},\n  oops]', r"c.json:2:3: Expecting value"),
        ("[" * 100_000, "c.json.*nested too deeply"),
    ],
)
def test_an_unreadable_file_is_named_with_the_place(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        load_conversations(write(tmp_path / "c.json", text))


def test_other_encodings_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b'[{"conversation_id": "\xff"}]')
    with pytest.raises(DataError, match=r"c\.json: not UTF-8 text \(byte 22\)"):
        load_conversations(tmp_path / "c.json")
    with pytest.raises(ConfigError, match=r"none\.json cannot be read: No such file"):
        load_conversations(tmp_path / "none.json")


def test_every_bad_record_is_listed_with_file_index_and_id(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", [record(), record(), record(conversation=[])])
    with pytest.raises(DataError) as caught:
        load_conversations(path)
    lines = str(caught.value).splitlines()
    assert "2 of 3 records" in lines[0]
    assert "--skip-bad" in lines[0]
    assert lines[1].endswith(
        "c.json: record 1 (id 'c1'): conversation_id occurs before, in record 0"
    )
    assert lines[2].endswith("c.json: record 2 (id 'c1'): the conversation has no messages")


def test_a_long_list_of_bad_records_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", [record(), *[3] * 30])
    with pytest.raises(DataError) as caught:
        load_conversations(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[-1].strip() == "and 10 more"


def test_bad_records_can_be_left_out_unless_nothing_is_left(tmp_path: Path) -> None:
    result = load_conversations(write(tmp_path / "c.json", [7, record()]), skip_bad=True)
    assert [c.conversation_id for c in result.conversations] == ["c1"]
    assert [(b.index, b.conversation_id, b.reason) for b in result.bad] == [
        (0, None, "expected an object, got int")
    ]
    with pytest.raises(DataError, match="1 of 1 records cannot be used"):
        load_conversations(write(tmp_path / "c.json", [7]), skip_bad=True)


@pytest.mark.slow
def test_official_conversations_load(upstream: Path) -> None:
    loaded = load_conversations(upstream / "data/training/conversations_322.json")
    assert (len(loaded.conversations), loaded.bad) == (322, [])
    assert sum(len(list(supporter_turns(c))) for c in loaded.conversations) == 1719
