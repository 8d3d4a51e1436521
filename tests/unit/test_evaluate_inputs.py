"""Files that an evaluation reads: conversations to answer, and ready replies."""

from __future__ import annotations

import asyncio
import json

import pytest
from fake_graders import FakeTagger

from mint.data.cases import read_cases
from mint.data.prompts import PromptConfig, PromptStyle
from mint.data.rows import prompt_row, row_messages
from mint.evaluation.journal import Journal
from mint.evaluation.sources.ready import ReadyReplies, count_tokens
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest, Sampling
from mint.evaluation.tagging import tag_missing
from rewards.errors import ConfigError, DataError, GraderError

SAMPLING = Sampling(temperature=0.7, top_p=1.0, max_new_tokens=50, thinking=False, seed=1)
GOLD = "evaluation/outputs/gold/conversations_tagged.json"
TABLE = "data/lend_an_ear_eval/lend_an_ear_50_conversations.csv"


def conversations(path, tagged=True, text="Anyone would be tired. Why?"):
    tags = [
        {"sentence": "Anyone would be tired.", "tactics": ["validation"]},
        {"sentence": "Why?", "tactics": ["questioning"]},
    ]
    reply = {"role": "supporter", "content": text}
    record = {
        "conversation_id": "c0",
        "conversation": [
            {"role": "seeker", "content": "I am tired."},
            {**reply, **({"sentence_tactics": tags} if tagged else {})},
            {"role": "seeker", "content": "I know."},
            {"role": "supporter", "content": "Good."},
        ],
    }
    path.write_text(json.dumps([record]))
    return path


def test_own_conversations_give_a_case_a_supporter_turn(tmp_path):
    first, second = read_cases(conversations(tmp_path / "c.json"))
    assert (first.turn, len(first.history), first.tags) == (0, 1, ())
    assert second.tags == ((("validation",), ("questioning",)),)
    row = prompt_row(second, PromptConfig(style=PromptStyle.TACTICS_HISTORY))
    assert row.previous_counts[3] == row.previous_counts[7] == 1
    system, *rest = row_messages(row)
    assert "validation (1x)" in system["content"]
    assert [m["role"] for m in rest] == ["user", "assistant", "user"]


def test_untagged_turns_are_tagged_once_and_kept(tmp_path):
    cases = read_cases(conversations(tmp_path / "c.json", tagged=False))
    with pytest.raises(DataError, match="untagged"):
        prompt_row(cases[1], PromptConfig())
    tagger = FakeTagger(fail_on="fail")
    for _ in range(2):
        with Journal(tmp_path / "j.jsonl", {}) as journal:
            tagged, number = asyncio.run(tag_missing(cases, tagger, journal))
        assert tagged[1].tags == ((("validation",), ("questioning",)),)
        assert number == 1
    assert tagger.asked == 1


def test_a_history_that_cannot_be_tagged_ends_the_evaluation(tmp_path):
    cases = read_cases(conversations(tmp_path / "c.json", tagged=False, text="fail"))
    with (
        Journal(tmp_path / "j.jsonl", {}) as journal,
        pytest.raises(GraderError, match="turn 0 of conversation 'c0' cannot be tagged: timeout"),
    ):
        asyncio.run(tag_missing(cases, FakeTagger(fail_on="fail"), journal))


def test_official_gold_has_315_turns_with_their_tags(upstream):
    cases = read_cases(upstream / GOLD)
    assert len(cases) == 315
    assert len({case.conversation_id for case in cases}) == 50
    assert sum(case.turn > 0 for case in cases) == 265
    assert all(len(case.tags) == case.turn for case in cases)
    assert cases[1].tags == (
        (("emotional_expression",), ("emotional_expression",), ("questioning",)),
    )
    limited = read_cases(upstream / GOLD, limit=3)
    assert limited == cases[: len(limited)]
    assert len({case.conversation_id for case in limited}) == 3


def test_official_table_and_records_are_the_same_conversations(upstream):
    table, records = read_cases(upstream / TABLE), read_cases(upstream / GOLD)
    assert len(table) == 315

    def last(cases):
        return {(c.conversation_id, c.turn): c.history[-1].content.split() for c in cases}

    first, second = last(table), last(records)
    assert first.keys() == second.keys()
    assert sum(first[key] == second[key] for key in first) >= 310


def test_answers_of_a_system_are_no_histories(upstream):
    path = upstream / "evaluation/outputs/ours1_q_dkl_Qwen3-1.7B/conversations_tagged.json"
    with pytest.raises(DataError, match=r"record 1 .*supporter turn 1\).*give the gold"):
        read_cases(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x,y\n1,2\n", "needs the columns conversation_id and full_conversation"),
        ("b.csv", "conversation_id,full_conversation\nc,hello\n", "row 1: the first line has no"),
        ("c.csv", 'conversation_id,full_conversation\nc,"Supporter: hi"\n', "row 1: seeker and"),
        ("d.json", "[{", "d.json:1:"),
        (
            "e.json",
            '[{"conversation_id": "c", "conversation_history": [{"role": "user", "content": "x"}],'
            ' "model_response": "y", "sentence_tactics": [["kindness"]]}]',
            "record 0: 'kindness' is no tactic",
        ),
        (
            "f.json",
            '[{"conversation_id": "c", "conversation_history": [], "model_response": "y"}]',
            "record 0: conversation_history must be",
        ),
    ],
)
def test_bad_files_say_where(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_cases(path)


def test_missing_data_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        read_cases(tmp_path / "nothing.json")


def ask(source, *keys):
    async def collect():
        requests = [ReplyRequest(ReplyKey(*key), ()) for key in keys]
        return [item async for item in source.stream(requests, SAMPLING)]

    return dict(asyncio.run(collect()))


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_ready_replies_are_found_by_key(tmp_path):
    path = lines(
        tmp_path / "r.jsonl",
        {"conversation_id": "c0", "turn": 0, "reply": "Hello there!"},
        {"conversation_id": "c0", "turn": 0, "reply": "Other", "sample": 1, "truncated": True},
        {"conversation_id": "c0", "turn": 0, "reply": "Only probes", "condition": "probes"},
    )
    found = ask(
        ReadyReplies(path),
        ("lend_an_ear", "c0", 0, 1),
        ("lend_an_ear", "c0", 0, 0),
        ("probes", "c0", 0, 0),
    )
    assert [found[i].raw for i in range(3)] == ["Other", "Hello there!", "Only probes"]
    assert [found[i].truncated for i in range(3)] == [True, False, False]
    assert found[1].num_tokens == 3
    assert count_tokens("<think>no</think> One, two.") == 4


def test_official_turn_records_are_ready_replies(upstream):
    path = upstream / "evaluation/outputs/ours1_q_dkl_Qwen3-1.7B/conversations_tagged.json"
    cases = read_cases(upstream / GOLD)
    keys = [("lend_an_ear", case.conversation_id, case.turn, 0) for case in cases]
    found = ask(ReadyReplies(path), *keys)
    assert len(found) == 315
    assert all(reply.raw for reply in found.values())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"conversation_id": "c0", "turn": 0}, "r.jsonl:2: 'reply' is missing"),
        ({"conversation_id": "c0", "turn": 0, "reply": "a", "x": 1}, "'x' is missing or unknown"),
        ({"conversation_id": "c0", "turn": "0", "reply": "a"}, "turn must be a whole number"),
        ({"conversation_id": "c0", "turn": True, "reply": "a"}, "turn must be a whole number"),
        ({"conversation_id": "c0", "turn": 0, "reply": None}, "reply must be text, got None"),
        ({"conversation_id": "ok", "turn": 0, "reply": "a"}, "occurs before, at .*r.jsonl:1"),
        (["c0"], "expected an object, got list"),
    ],
)
def test_bad_rows_name_file_and_row(tmp_path, row, message):
    good = {"conversation_id": "ok", "turn": 0, "reply": "a"}
    with pytest.raises(DataError, match=message):
        ReadyReplies(lines(tmp_path / "r.jsonl", good, row))


@pytest.mark.slow
def test_missing_replies_are_counted_and_named(tmp_path):
    source = ReadyReplies(
        lines(tmp_path / "r.jsonl", {"conversation_id": "c0", "turn": 0, "reply": "a"})
    )
    with pytest.raises(DataError, match=r"lacks 1 of 2 replies; .*'c0', turn 3, sample 0"):
        ask(source, ("lend_an_ear", "c0", 0, 0), ("lend_an_ear", "c0", 3, 0))
    with pytest.raises(ConfigError, match="cannot be read"):
        ReadyReplies(tmp_path / "none.jsonl")
