"""Released files that are not as released: one line with file and row."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import released_files as released

from mint import reproduce
from mint.reproduction.experts import read_experts
from mint.reproduction.panel import build_panel
from mint.reproduction.read import (
    SystemName,
    find_systems,
    parse_name,
    read_system,
    without_replies,
)
from mint.reproduction.settings import ReproduceSettings
from mint.shell import cli
from rewards.errors import ConfigError, DataError

pytestmark = pytest.mark.slow

SYSTEM = released.SYSTEMS[1]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return released.make_release(tmp_path / "release")


def panel(path: Path, skip: tuple[str, ...] = ()):
    return build_panel([read_system(path, name) for name in find_systems(path, skip)], "gold")


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("gold", SystemName("gold", "gold", "")),
        ("ours1_q_dkl_Qwen3-4B", SystemName("ours1_q_dkl_Qwen3-4B", "ours1_q_dkl", "4B")),
        ("mine_new-idea_Llama-8B", SystemName("mine_new-idea_Llama-8B", "mine_new-idea", "8B")),
        ("tiny_Qwen3-600M", SystemName("tiny_Qwen3-600M", "tiny", "600M")),
        ("plain", SystemName("plain", "plain", "")),
    ],
)
def test_folder_names(folder, expected):
    assert parse_name(folder) == expected


def add_judge_against_experts(release: Path) -> str:
    """What the official repository holds beside its systems: ratings, but no replies."""
    folder = release / "evaluation/eval_outputs/gold_kappa_agreement"
    folder.mkdir(parents=True)
    for name in (
        "gpt-oss-120b_turn_aggregated_to_conversation.csv",
        "gpt-oss-120b_turn_predictions.jsonl",
        "gpt-oss-120b_turn_ratings.csv",
        "gpt-oss-120b_turn_summary.json",
        "turn_vs_experts_agreement.csv",
    ):
        (folder / name).write_text("")
    return folder.name


def test_a_folder_without_replies_is_no_system_but_named(release, tmp_path, capfd):
    assert without_replies(release) == []
    extra = add_judge_against_experts(release)
    untagged = release / "evaluation/outputs/mine_untagged"
    untagged.mkdir()
    assert find_systems(release) == sorted(released.SYSTEMS)
    assert find_systems(release, [extra]) == sorted(released.SYSTEMS)
    assert without_replies(release) == [extra, untagged.name]
    assert without_replies(release, [extra]) == [untagged.name]
    quick = ["resamples=100", "comparison_resamples=100", "shuffles=100", "equal_length=20"]
    arguments = [f"upstream={release}", f"output={tmp_path / 'out'}", *quick]
    assert cli.run(ReproduceSettings, reproduce.main, arguments) == 0
    note = f"left out, no tagged replies (2): {extra}, {untagged.name}"
    assert note in " ".join("".join(capfd.readouterr()).split())
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["without_replies"] == [extra, untagged.name]
    assert extra not in metrics["systems"]
    assert f"{extra}, {untagged.name}" in (tmp_path / "out/report.html").read_text()


def test_all_folders_are_systems(release):
    (release / "evaluation/outputs/.cache").mkdir()
    assert find_systems(release) == sorted(released.SYSTEMS)
    assert find_systems(release, [SYSTEM]) == sorted({*released.SYSTEMS} - {SYSTEM})
    found = panel(release)
    assert [r.name.folder for r in found.systems] == sorted(released.SYSTEMS)
    assert len(found.turns.keys) == sum(released.TURNS)
    assert len(found.turns.later_P) == sum(released.TURNS) - len(released.TURNS)
    assert found.judge == "judge"


def test_pairs_are_turns_of_one_conversation(release):
    turns = panel(release).turns
    for later, earlier in zip(turns.later_P, turns.earlier_P, strict=True):
        assert turns.keys[later].previous == turns.keys[earlier]


def test_order_of_rows_does_not_matter(release):
    before = panel(release)
    rng = random.Random(0)
    released.change_entries(release, rng.shuffle)
    released.change_lines(released.ratings_file(release), lambda lines: lines.append(lines.pop(1)))
    after = panel(release)
    for one, two in zip(before.systems, after.systems, strict=True):
        assert one.texts == two.texts
        assert np.array_equal(one.tactics_NK, two.tactics_NK)
        assert np.array_equal(one.ratings_ND, two.ratings_ND)


def test_a_rating_left_out_is_skipped(release):
    file = released.ratings_file(release)
    released.change_lines(file, lambda lines: lines.__setitem__(1, "c0,1,5,5,5,,1,1"))
    system = next(r for r in panel(release).systems if r.name.folder == SYSTEM)
    assert np.isnan(system.ratings_ND[0, 3])
    assert system.aggregate_N[0] == 5.0


def replace(entry: int, **fields):
    return lambda entries: entries[entry].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            replace(4, sentence_tactics=[["validation"], ["comforting"]]),
            r"entry 5: sentence 2 is tagged 'comforting', which is no tactic; allowed: information",
        ),
        (
            replace(2, sentence_tactics=["validation"]),
            r"entry 3: sentence 1 has 'validation' in place of a tactic list",
        ),
        (
            lambda e: e.append(dict(e[3])),
            r"entry 18: conversation c1, turn_index 1 occurs twice, first in entry 4",
        ),
        (
            lambda e: e.pop(1),
            r"entry 2 \(conversation c0, turn_index 5\) has no supporter turn before it; "
            r"turn_index 3 is missing",
        ),
        (lambda e: e[6].pop("model_response"), r"entry 7: no model_response"),
        (replace(0, conversation_id=7), r"entry 1: conversation_id must be str, got int"),
        (
            lambda e: e[1]["conversation_history"].pop(),
            r"entry 2: conversation_history has 2 messages; it must alternate",
        ),
        (lambda e: e.clear(), r"expected a list of replies"),
        (lambda e: e.pop(), r"judge_ratings.csv:18: conversation c5, turn_index 5 is rated but"),
    ],
)
def test_replies_that_are_not_as_released(release, change, message):
    file = released.change_entries(release, change)
    with pytest.raises(DataError, match=message) as caught:
        read_system(release, SYSTEM)
    assert file.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (3, "c0,5,4,high,3,2,1,1", r":4: encouraging_elaboration is 'high'; it must be a number"),
        (3, "c0,5,4,6,3,2,1,1", r":4: encouraging_elaboration is '6'; it must be a number from 1"),
        (3, "c0,5,,,,,,", r":4: conversation c0, turn_index 5 is not rated"),
        (3, "c0,3,1,1,1,1,1,1", r":4: conversation c0, turn_index 3 is rated twice, first in line"),
        (3, "c0,two,1,1,1,1,1,1", r":4: turn_index is 'two'"),
        (0, "conversation_id,turn_index,validating_emotions", r":1: no column encouraging_elab"),
        (17, "c5,7,1,1,1,1,1,1", r"entry 17 \(conversation c5, turn_index 5\) has no rating in"),
    ],
)
def test_ratings_that_are_not_as_released(release, line, text, message):
    released.change_lines(
        released.ratings_file(release), lambda lines: lines.__setitem__(line, text)
    )
    with pytest.raises(DataError, match=message):
        read_system(release, SYSTEM)


def test_an_aggregate_that_its_ratings_do_not_give(release):
    def add_aggregate(lines):
        lines[0] += ",aggregated_empathy"
        lines[1:] = [f"c0,{2 * n + 1},3,3,3,3,3,3,3.0" for n in range(3)]
        lines[2] = "c0,3,3,3,3,3,3,3,4.2"

    released.change_lines(released.ratings_file(release), add_aggregate)
    with pytest.raises(DataError, match=r":3: aggregated_empathy is 4\.2, .* give 3\.0000"):
        read_system(release, SYSTEM)


def test_missing_and_broken_files(release):
    released.ratings_file(release).unlink()
    with pytest.raises(DataError, match=r"must hold one \*_ratings.csv, found 0; skip="):
        read_system(release, SYSTEM)
    shutil.copy(released.ratings_file(release, "gold"), released.ratings_file(release))
    released.tagged_file(release).write_text("[")
    with pytest.raises(DataError, match=r"conversations_tagged.json: not JSON"):
        read_system(release, SYSTEM)
    released.tagged_file(release).unlink()
    with pytest.raises(DataError, match=r"conversations_tagged.json: No such file"):
        read_system(release, SYSTEM)


def test_systems_must_have_the_same_turns(release):
    def drop_conversation(entries):
        entries[:] = [e for e in entries if e["conversation_id"] != "c5"]

    released.change_entries(release, drop_conversation)
    released.change_lines(
        released.ratings_file(release),
        lambda lines: lines.__setitem__(slice(None), [x for x in lines if "c5" not in x]),
    )
    with pytest.raises(DataError, match=r"has 14 turns and gold 17: it lacks conversation c5"):
        panel(release)
    assert len(panel(release, (SYSTEM,)).systems) == len(released.SYSTEMS) - 1


def test_systems_must_have_the_same_judge(release):
    file = released.ratings_file(release)
    file.rename(file.with_name("other_ratings.csv"))
    with pytest.raises(DataError, match="is rated by other, gold by judge"):
        panel(release)


def test_folders_that_are_not_there(release, tmp_path):
    with pytest.raises(ConfigError, match="no system in"):
        find_systems(tmp_path / "empty")
    with pytest.raises(ConfigError, match="skip names 'ghost'"):
        find_systems(release, ["ghost"])
    with pytest.raises(ConfigError, match="reference=people is none of the systems found"):
        build_panel([read_system(release, SYSTEM)], "people")


def test_experts(release, tmp_path):
    names = tuple(f"c{i}" for i in range(len(released.TURNS)))
    assert read_experts(release, names).shape == (3, len(names), 6)
    assert read_experts(tmp_path / "none", names) is None
    file = release / "data/lend_an_ear_eval/expert_ratings/expert2_ratings.csv"
    original = file.read_text()
    for change, message in (
        (lambda lines: lines.append(lines[1]), ":8: conversation c0 is rated twice"),
        (lambda lines: lines.append("c9,1,1,1,1,1,1"), ":8: conversation c9 is not among"),
        (lambda lines: lines.pop(), "conversation c5 is not rated"),
        (lambda lines: lines.__setitem__(2, "c1,1,1,x,1,1,1"), ":3: demonstrating_unders"),
        (lambda lines: lines.__setitem__(2, "c1,1,1,,1,1,1"), ":3: conversation c1 lacks"),
    ):
        file.write_text(original)
        released.change_lines(file, change)
        with pytest.raises(DataError, match=message):
            read_experts(release, names)


def test_bad_files_end_the_command_with_one_line(release, tmp_path, capsys):
    entries = json.loads(released.tagged_file(release).read_text())
    entries[0]["sentence_tactics"] = [["hugging"]]
    released.tagged_file(release).write_text(json.dumps(entries))
    arguments = [f"upstream={release}", f"output={tmp_path / 'out'}"]
    assert cli.run(ReproduceSettings, reproduce.main, arguments) == 2
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if "error" in line]
    assert len(lines) == 1
    assert "entry 1: sentence 1 is tagged 'hugging'" in lines[0]
    assert not (tmp_path / "out").exists()
