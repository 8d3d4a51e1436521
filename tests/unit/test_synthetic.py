"""Generated conversations and the demo's data set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mint.data.banks import Banks, load_banks, slots_of
from mint.data.conversation import Conversation, Turn, load_conversations, supporter_turns
from mint.data.dataset import read_rows
from mint.data.synthetic import DEMO_PROMPTS, build_demo_data, generate, split_scenarios
from mint.shell import cli
from mint.shell.paths import data_dir
from mint.synthetic import SyntheticConfig, main
from rewards.errors import ConfigError
from rewards.tactics import TACTIC_NAMES
from rewards.text import split_sentences


@pytest.fixture(scope="module")
def banks() -> Banks:
    return load_banks(data_dir())


@pytest.fixture(scope="module")
def many(banks: Banks) -> list[Conversation]:
    return generate(400, 0, banks=banks)


def tactics(turn: Turn) -> set[str]:
    assert turn.sentence_tactics is not None
    return {name for sentence in turn.sentence_tactics for name in sentence.tactics}


def scenario_of(conversation_id: str) -> str:
    return conversation_id.rpartition("-")[0]


def test_text_depends_on_seed_and_position_alone(banks: Banks) -> None:
    assert generate(5, 3, banks=banks) == generate(8, 3, banks=banks)[:5]
    assert generate(5, 3, banks=banks) != generate(5, 4, banks=banks)


@pytest.mark.slow
def test_conversations_and_their_rows_know_their_scenario(
    banks: Banks, many: list[Conversation], tmp_path: Path
) -> None:
    known = {scenario.id for scenario in banks.scenarios}
    assert {c.scenario for c in many} <= known
    build_demo_data(tmp_path / "d", num_conversations=4, num_val=30, seed=1)
    rows = read_rows(tmp_path / "d" / "val.parquet")
    held_out = {scenario.id for scenario in split_scenarios(banks.scenarios)[1]}
    assert {row.scenario for row in rows} <= held_out
    assert all(row.scenario == scenario_of(row.conversation_id) for row in rows)


def test_labels_are_those_of_the_banks(banks: Banks, many: list[Conversation]) -> None:
    plain = {
        line: name for name, bank in banks.sentences.items() for line in bank if not slots_of(line)
    }
    checked = 0
    for conversation in many:
        for turn in supporter_turns(conversation):
            sentences = turn.turn.sentence_tactics or ()
            assert 1 <= len(sentences) <= 4
            assert turn.turn.message.content == " ".join(s.sentence for s in sentences)
            for sentence in sentences:
                assert "{" not in sentence.sentence
                if sentence.sentence in plain:
                    assert sentence.tactics == (plain[sentence.sentence],)
                    checked += 1
    assert checked > 1000


def test_the_sentence_splitter_finds_the_labelled_sentences(many: list[Conversation]) -> None:
    for conversation in many[:100]:
        for turn in supporter_turns(conversation):
            labelled = [s.sentence for s in turn.turn.sentence_tactics or ()]
            assert split_sentences(turn.turn.message.content) == labelled


def test_seekers_follow_their_scenario_in_order(banks: Banks, many: list[Conversation]) -> None:
    scenarios = {scenario.id: scenario for scenario in banks.scenarios}
    for conversation in many:
        scenario = scenarios[scenario_of(conversation.conversation_id)]
        said = [t.message.content for t in conversation.turns if t.message.role == "seeker"]
        assert said[0] in scenario.openings
        places = [scenario.follow_ups.index(text) for text in said[1:]]
        assert places == sorted(set(places))
        assert 2 <= len(said) <= 5


def test_a_conversation_repeats_no_sentence(many: list[Conversation]) -> None:
    for conversation in many:
        sentences = [
            s.sentence for t in supporter_turns(conversation) for s in t.turn.sentence_tactics or ()
        ]
        assert len(sentences) == len(set(sentences))


def test_supporters_are_sticky_and_every_tactic_is_common(many: list[Conversation]) -> None:
    turns = [turn for conversation in many for turn in supporter_turns(conversation)]
    present = Counter(name for turn in turns for name in tactics(turn.turn))
    assert min(present[name] / len(turns) for name in TACTIC_NAMES) > 0.1
    again = Counter[str]()
    before = Counter[str]()
    for turn in turns:
        for name in tactics(turn.previous[-1]) if turn.previous else ():
            before[name] += 1
            again[name] += name in tactics(turn.turn)
    stickiness = sum(again[name] / before[name] for name in TACTIC_NAMES) / len(TACTIC_NAMES)
    assert 0.45 < stickiness < 0.57


def test_impossible_requests_are_refused(banks: Banks) -> None:
    with pytest.raises(ConfigError, match="at least one conversation and scenario, got 0"):
        generate(0, 0, banks=banks)
    for turns in ((0, 2), (3, 2), (2, 99)):
        with pytest.raises(ConfigError, match="turns must be 1 <= min <= max <= 9"):
            generate(1, 0, turns, banks=banks)


def test_about_a_fifth_of_the_scenarios_is_held_out_whatever_the_seed(banks: Banks) -> None:
    train, val = split_scenarios(banks.scenarios)
    assert not {s.id for s in train} & {s.id for s in val}
    assert len(train) + len(val) == len(banks.scenarios)
    assert 0.15 < len(val) / len(banks.scenarios) < 0.25
    assert split_scenarios(banks.scenarios[::-1])[1] == val[::-1]
    with pytest.raises(ConfigError, match="at least 2 scenarios"):
        split_scenarios(banks.scenarios[:1])


@pytest.mark.slow
def test_demo_data_has_disjoint_scenarios_and_short_prompts(tmp_path: Path) -> None:
    card = build_demo_data(tmp_path / "d", 50, 0, num_val=10)
    assert card == json.loads((tmp_path / "d/card.json").read_text())
    assert (card["style"], card["compact"]) == ("tactics_history", True)
    assert card["tagger"] == "exact by construction"
    assert [card["splits"][name]["conversations"] for name in ("train", "val")] == [50, 10]
    train, val = (read_rows(tmp_path / f"d/{name}.parquet") for name in ("train", "val"))
    used = [{scenario_of(row.conversation_id) for row in rows} for rows in (train, val)]
    assert not used[0] & used[1]
    assert used[1] <= set(card["held_out_scenarios"])
    assert max(len(row.prompt) for row in train) == 2 * (DEMO_PROMPTS.max_history_turns or 0) - 1
    assert any(len(row.history) > len(row.prompt) for row in train)
    with pytest.raises(ConfigError, match="not empty"):
        build_demo_data(tmp_path / "d", 50, 0)
    again = build_demo_data(tmp_path / "d", 50, 0, num_val=10, overwrite=True)
    assert again == card


@pytest.mark.slow
def test_the_command_writes_conversations_that_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"output={tmp_path / 'c.json'}", "num=7", "seed=2", "part=val", "max_turns=3"]
    assert cli.run(SyntheticConfig, main, arguments) == 0
    assert "7 conversations" in capsys.readouterr().out
    loaded = load_conversations(tmp_path / "c.json").conversations
    held_out = {s.id for s in split_scenarios(load_banks(data_dir()).scenarios)[1]}
    assert {scenario_of(c.conversation_id) for c in loaded} <= held_out
    assert max(len(c.turns) for c in loaded) <= 6
    assert cli.run(SyntheticConfig, main, arguments) == 2
    assert "exists; choose another file, or add --overwrite" in capsys.readouterr().err
    assert cli.run(SyntheticConfig, main, [*arguments, "--overwrite"]) == 0


@pytest.mark.slow
def test_every_process_writes_the_same_file(tmp_path: Path) -> None:
    for number in ("1", "2"):
        subprocess.run(
            [sys.executable, "-m", "mint.synthetic", f"output={tmp_path / number}", "num=5"],
            env={**os.environ, "PYTHONHASHSEED": number},
            check=True,
        )
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("part=test", "part must be one of all, train, val, got 'test'"),
        ("num=-1", "need at least one conversation"),
        ("data=/nowhere", "lacks information.txt"),
    ],
)
def test_bad_arguments_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: str, reason: str
) -> None:
    assert cli.run(SyntheticConfig, main, [f"output={tmp_path / 'c.json'}", extra]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert not (tmp_path / "c.json").exists()
