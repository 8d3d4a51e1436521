"""Summaries of what a prompt no longer shows, and the protocol that asks for a fact."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mint import prepare
from mint.config.prompts import PromptConfig, PromptStyle, prompts_of_card
from mint.data.cases import load_cases
from mint.data.conversation import Conversation, Turn
from mint.data.dataset import read_rows, write_dataset
from mint.data.memory import (
    NOTHING,
    WORDS,
    Summary,
    hidden_messages,
    is_due,
    renewed,
    summary_request,
)
from mint.data.rows import Case, prompt_row
from mint.evaluation.generation import Generation
from mint.evaluation.protocols import memory
from mint.evaluation.remember import NOTES, summaries_of
from mint.evaluation.sources.requests import ReplyRequest, Sampling
from mint.shell import cli
from mint.shell.paths import data_dir
from rewards.errors import ConfigError, DataError
from rewards.types import Failure, Message

PROMPTS = PromptConfig(style=PromptStyle.PLAIN, compact=True, max_history_turns=2, memory=True)


def history(turns: int) -> tuple[Message, ...]:
    said = [Message("seeker", "s0")]
    for turn in range(1, turns):
        said += [Message("supporter", f"r{turn - 1}"), Message("seeker", f"s{turn}")]
    return tuple(said)


def test_what_is_out_of_sight() -> None:
    # Two seeker turns and the reply between are shown: 3 messages.
    assert [hidden_messages(PROMPTS, history(n)) for n in (1, 2, 3, 4)] == [0, 0, 2, 4]
    assert hidden_messages(PromptConfig(), history(9)) == 0
    assert not is_due(PROMPTS, history(2), NOTHING)
    assert is_due(PROMPTS, history(3), NOTHING)
    assert not is_due(PROMPTS, history(3), Summary("x", 2))
    assert not is_due(PromptConfig(max_history_turns=2), history(3), NOTHING)


def test_only_what_has_gone_out_of_sight_since_is_asked_for() -> None:
    first = summary_request(PROMPTS, history(3), NOTHING)[1]["content"]
    assert "Person: s0\nYou: r0\n" in first
    assert "s1" not in first
    assert "notes so far:" not in first
    later = summary_request(PROMPTS, history(4), Summary("old notes", 2))[1]["content"]
    assert "Your notes so far:\nold notes\n" in later
    assert "Person: s1\nYou: r1\n" in later
    assert "s0" not in later


def test_a_summary_takes_the_place_of_the_earlier_one_and_covers_what_it_was_asked() -> None:
    assert renewed(PROMPTS, history(4), Summary("old", 2, "timeout: x"), " new ") == ("new", 4, "")
    endless = renewed(PROMPTS, history(4), NOTHING, "word " * 500)
    assert len(endless.text.split()) == 2 * WORDS


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Failure("timeout", "no answer"), "timeout: no answer"),
        ("", "no summary: empty"),
        ("<think>hm", "no summary: truncated_think"),
    ],
)
def test_a_failure_keeps_the_earlier_summary_with_the_reason(
    answer: str | Failure, reason: str
) -> None:
    assert renewed(PROMPTS, history(4), Summary("old", 2), answer) == ("old", 2, reason)


@pytest.mark.parametrize("compact", [True, False])
def test_the_prompt_holds_the_summary_and_the_row_keeps_it(compact: bool) -> None:
    prompts = PromptConfig(
        style=PromptStyle.PLAIN, compact=compact, max_history_turns=2, memory=True
    )
    case = Case(conversation_id="c", turn=2, history=history(3), tags=((), ()))
    without = prompt_row(case, prompts)
    summary = Summary("Her dog is Biscuit.", 2)
    told = Case(conversation_id="c", turn=2, history=history(3), tags=((), ()), summary=summary)
    row = prompt_row(told, prompts)
    assert row.system.startswith(without.system)
    assert row.system.endswith("Her dog is Biscuit.")
    assert [m.content for m in row.prompt] == ["s1", "r1", "s2"]
    assert row.summary == summary


def test_memory_without_a_cut_prompt_is_refused_and_a_card_keeps_it() -> None:
    with pytest.raises(ConfigError, match="memory=true needs max_history_turns"):
        PromptConfig(memory=True)
    assert prompts_of_card(PROMPTS.card()) == PROMPTS
    assert "memory" not in PromptConfig().card()


class Rememberer:
    """Answers by a rule on the messages."""

    identity: dict[str, Any] = {"kind": "fake", "model": "rule"}  # noqa: RUF012

    def __init__(self, answer: Callable[[ReplyRequest], str | Failure]) -> None:
        self._answer = answer
        self.asked: list[ReplyRequest] = []

    async def stream(self, requests: Any, sampling: Sampling) -> Any:
        for position, request in enumerate(requests):
            self.asked.append(request)
            said = self._answer(request)
            yield position, said if isinstance(said, Failure) else Generation(said, 5, False)

    async def close(self) -> None:
        pass


def names_what_it_sees(request: ReplyRequest) -> str:
    """Writes down the dog's name when it is told, and says it when its prompt has it."""
    seen = " ".join(message["content"] for message in request.messages)
    return "His name was Biscuit." if "Biscuit" in seen else "I do not know."


def run(path: Path, source: Rememberer, retry_failed: bool = False) -> dict[str, Any]:
    sampling = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=50, thinking=False, seed=1)
    folder = data_dir() / "memory"
    prompts = PromptConfig(compact=True)
    asyncio.run(memory.run(source, folder, path, sampling, prompts, 0.95, retry_failed))
    result: dict[str, Any] = json.loads((path / "memory.json").read_text())
    return result


def test_a_fact_is_known_where_the_prompt_or_the_summary_has_it(tmp_path: Path) -> None:
    source = Rememberer(names_what_it_sees)
    result = run(tmp_path, source)
    known = {name: row["known"]["value"] for name, row in result["conditions"].items()}
    # One of the 24 people has a dog called Biscuit.
    assert known == {"whole": 1 / 24, "cut": 0.0, "summary": 1 / 24}
    assert result["conditions"]["summary"]["in_summary"]["value"] == 1 / 24
    assert result["summary_minus_cut"]["value"] == pytest.approx(1 / 24)
    assert result["turns"] == 12
    # 12 seeker messages of which 3 are shown: a summary before each of the last 9 replies.
    assert len(source.asked) == 24 * (3 + 9)
    again = Rememberer(names_what_it_sees)
    assert run(tmp_path, again) == result
    assert again.asked == []


def test_failed_summaries_are_counted_and_are_no_answers(tmp_path: Path) -> None:
    def answer(request: ReplyRequest) -> str | Failure:
        if request.key.condition == NOTES:
            return Failure("timeout", "no answer")
        return names_what_it_sees(request)

    result = run(tmp_path, Rememberer(answer))
    assert result["conditions"]["summary"]["summaries_failed"] == 24
    assert result["conditions"]["summary"]["known"]["value"] == 0.0
    rows = [json.loads(line) for line in (tmp_path / "memory_replies.jsonl").open()]
    assert {r["summary_reason"] for r in rows if r["condition"] == "summary"} == {
        "timeout: no answer"
    }


def test_an_empty_summary_is_asked_for_again_with_all_that_rests_on_it(tmp_path: Path) -> None:
    first: list[ReplyRequest] = []

    def answer(request: ReplyRequest) -> str | Failure:
        if request.key.condition == NOTES and request.key.turn == 5 and not first:
            first.append(request)
            return "<think>only this</think>"
        return names_what_it_sees(request)

    run(tmp_path, Rememberer(answer))
    again = Rememberer(names_what_it_sees)
    run(tmp_path, again, retry_failed=True)
    assert {request.key.conversation_id for request in again.asked} == {
        first[0].key.conversation_id
    }
    turns = [(request.key.condition, request.key.turn) for request in again.asked]
    assert turns == [*((NOTES, turn) for turn in range(5, 12)), ("summary", 11)]


def test_the_talk_between_names_no_fact() -> None:
    facts, talk = memory.read_facts(data_dir() / "memory")
    assert len({fact.id for fact in facts}) == len(facts) == 24
    assert len(talk) == 11
    for fact in facts:
        assert fact.known_to(fact.opening), fact.id
        assert not fact.known_to(fact.question), fact.id
        assert not any(fact.known_to(said) for pair in talk for said in pair), fact.id
    assert not facts[0].known_to("biscuits")


def test_a_wrong_fact_is_named(tmp_path: Path) -> None:
    (tmp_path / "facts.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match=r"facts\.jsonl:1: needs id, opening, question, accepted"):
        memory.read_facts(tmp_path)


def test_a_data_set_keeps_the_summaries_of_its_rows(tmp_path: Path) -> None:
    said = [
        Turn(message=m, sentence_tactics=() if m.role == "supporter" else None)
        for m in (*history(4), Message("supporter", "r3"))
    ]
    talks = [
        Conversation(conversation_id=name, source="t", model="m", turns=tuple(said))
        for name in ("a", "b")
    ]

    def answer(request: ReplyRequest) -> str | Failure:
        if request.key.conversation_id == "b":
            return Failure("timeout", "no answer")
        return f"notes before turn {request.key.turn}"

    journal = tmp_path / "journal.jsonl"
    source = Rememberer(answer)
    found = asyncio.run(summaries_of(source, talks, PROMPTS, journal, 1))
    # Two seeker turns are shown: there is something to write before the turns 2 and 3.
    assert [request.key.turn for request in source.asked] == [2, 2, 3, 3]
    assert found["a", 1] == NOTHING
    assert found["a", 3] == Summary("notes before turn 3", 4)
    assert found["b", 3] == Summary("", 0, "timeout: no answer")
    card = write_dataset(tmp_path / "data", {"train": talks}, PROMPTS, {}, summaries=found)
    assert prompts_of_card(card) == PROMPTS
    rows = read_rows(tmp_path / "data" / "train.parquet")
    assert [row.summary for row in rows if row.conversation_id == "b"][3] == found["b", 3]
    (last,) = [row for row in rows if (row.conversation_id, row.turn) == ("a", 3)]
    assert last.summary == found["a", 3]
    assert last.system.endswith("Earlier in this conversation: notes before turn 3")
    cases = load_cases(tmp_path / "data" / "train.parquet").cases
    assert cases[3].summary == found["a", 3]
    again = Rememberer(answer)
    assert asyncio.run(summaries_of(again, talks, PROMPTS, journal, 1)) == found
    # What failed is asked again, and nothing else.
    assert {request.key.conversation_id for request in again.asked} == {"b"}


@pytest.mark.slow
def test_a_data_set_with_memory_needs_cut_prompts_and_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.json"
    message = {"role": "supporter", "content": "Why?", "sentence_tactics": []}
    talk = [{"role": "seeker", "content": "hello"}, message]
    file.write_text(json.dumps([{"conversation_id": f"c{i}", "conversation": talk} for i in "ab"]))
    arguments = [f"input={file}", f"output={tmp_path}/out", "val_fraction=0"]
    for more, said in (
        (["memory=none/at/all"], "memory=true needs max_history_turns"),
        (["memory=none/at/all", "max_history_turns=2"], "none/at/all is not a model folder"),
    ):
        assert cli.run(prepare.PrepareConfig, prepare.main, [*arguments, *more]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
