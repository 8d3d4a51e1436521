"""People to be played: the authored ones, their files, splits, and released profiles."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mint.data.banks import load_banks
from mint.dialogue.persons import (
    authored_persons,
    generated_persons,
    overlap,
    person_row,
    read_persons,
    released_person,
    scenario_person,
    split_persons,
)
from mint.dialogue.protocol import INTENTIONS
from mint.persons import PersonsSettings, main
from mint.shell import cli
from mint.shell.paths import data_dir
from rewards.errors import ConfigError, DataError
from rewards.graders.embedded.cues import words

PEOPLE = authored_persons()


@pytest.fixture(scope="module")
def profiles(upstream: Path) -> Path:
    """RLVER's and SAGE's released profiles."""
    return upstream.parent / "rlver"


def test_ten_people_of_each_intention_with_a_whole_story() -> None:
    assert Counter(person.intention for person in PEOPLE) == dict.fromkeys(INTENTIONS, 10)
    assert {person.temper for person in PEOPLE} == {"passive", "negative", "avoidant"}
    for person in PEOPLE:
        assert len(person.follow_ups) >= 6, person.id
        assert len(person.raises) >= 3 <= len(person.lowers), person.id
        assert len(person.feelings) >= 4, person.id
        assert person.opening
        assert person.opening not in person.follow_ups
        told = [person.opening, *person.follow_ups]
        assert all(len(words(line)) <= 60 for line in told), person.id


def test_no_two_people_share_a_phrase() -> None:
    """No template: no six words in a row occur in the stories of two people."""
    seen: dict[tuple[str, ...], str] = {}
    for person in PEOPLE:
        for text in (person.persona, person.scene, person.opening or "", *person.follow_ups):
            spoken = words(text)
            for at in range(len(spoken) - 5):
                other = seen.setdefault(tuple(spoken[at : at + 6]), person.id)
                assert other == person.id, (other, person.id, spoken[at : at + 6])


def test_a_file_of_people_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text("".join(json.dumps(person_row(person)) + "\n" for person in PEOPLE))
    assert read_persons(path) == PEOPLE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"intention": "fame"}, "intention must be one of not_my_fault"),
        ({"temper": "mild"}, "temper must be one of passive, negative, avoidant, got 'mild'"),
        ({"mood": "x"}, "'mood' is missing or unknown"),
        ({"scene": None}, "scene must be text, got None"),
        ({"raises": "praise"}, "raises must be a list of texts"),
        ({"id": PEOPLE[1].id}, f"the id '{PEOPLE[1].id}' is used twice"),
    ],
)
def test_bad_people_are_refused_with_their_place(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    path = tmp_path / "people.jsonl"
    rows = [person_row(PEOPLE[1]), {**person_row(PEOPLE[0]), **change}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError) as error:
        read_persons(path)
    assert says in str(error.value)
    assert str(error.value).startswith(f"{path}:2: " if "id" not in change else f"{path}: ")


def test_files_without_people_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text("\n")
    with pytest.raises(DataError, match="holds no person"):
        read_persons(path)
    path.write_text("{\n")
    with pytest.raises(DataError, match=r"people\.jsonl:1: no person"):
        read_persons(path)
    path.write_text('{"player": "x"}\n')
    with pytest.raises(DataError, match="no released profile: 'id' is missing"):
        read_persons(path)


def test_parts_share_no_persona() -> None:
    twins = [replace(PEOPLE[n], id=f"twin-{n}", intention="deep_empathy") for n in range(20)]
    parts = split_persons([*PEOPLE, *twins], {"train": 0.7, "validation": 0.1, "test": 0.2})
    assert sum(map(len, parts.values())) == 100
    for first, second in itertools.permutations(parts.values(), 2):
        found = overlap(first, second)
        assert (found.same_persona, found.same_scene, found.same_id) == (0, 0, 0)
    plain = split_persons(PEOPLE, {"train": 0.7, "validation": 0.1, "test": 0.2})
    for name, expected in (("train", 7), ("validation", 1), ("test", 2)):
        assert Counter(p.intention for p in plain[name]) == dict.fromkeys(INTENTIONS, expected)
    again = split_persons(PEOPLE[::-1], {"train": 0.7, "validation": 0.1, "test": 0.2})
    assert again == {name: part[::-1] for name, part in plain.items()}, "whatever the order"
    assert overlap(PEOPLE, [*PEOPLE[:3], *twins]).same_persona == 23
    with pytest.raises(ConfigError, match="add up to 1"):
        split_persons(PEOPLE, {"train": 0.7})


def test_every_scenario_makes_a_person_of_each_intention() -> None:
    scenarios = load_banks(data_dir()).scenarios
    made = generated_persons(scenarios)
    assert len(made) == 8 * len(scenarios) == len({person.id for person in made})
    parts = split_persons(made, {"train": 0.8, "test": 0.2})
    assert overlap(parts["train"], parts["test"]).same_persona == 0
    one = scenario_person(scenarios[0])
    assert one == scenario_person(scenarios[0])
    assert one.opening == scenarios[0].openings[0]
    assert len({scenario_person(s).intention for s in scenarios}) == 8


def test_the_released_profiles_are_read(profiles: Path) -> None:
    train = read_persons(profiles / "train_profile.jsonl")
    test = read_persons(profiles / "simulator_profile_withfirsttalk.jsonl")
    assert (len(train), len(test)) == (500, 100)
    assert Counter(person.intention for person in train) == {
        "not_my_fault": 66,
        "guided_self_reflection": 66,
        "dialectical_analysis": 66,
        "deep_empathy": 64,
        "attentive_listening": 63,
        "analyse_others_motives": 60,
        "actionable_advice": 58,
        "sincere_praise": 57,
    }
    assert Counter(person.temper for person in train) == {
        "negative": 183,
        "passive": 174,
        "avoidant": 143,
    }
    assert all(person.opening is None and person.language == "zh" for person in train)
    assert all(person.opening for person in test)
    found = overlap(train, test)
    assert (found.people, found.same_persona, found.same_scene) == (100, 54, 0)
    parts = split_persons(train, {"train": 0.8, "test": 0.2})
    assert overlap(parts["train"], parts["test"]).same_persona == 0


def test_result_files_of_sage_hold_the_same_profiles(upstream: Path, profiles: Path) -> None:
    test = {p.id: p for p in read_persons(profiles / "simulator_profile_withfirsttalk.jsonl")}
    path = upstream.parent / "sage" / "deepseek-v3-simulator" / "gpt-4.1_result.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        played = released_person(row)
        assert played == replace(test[played.id], opening=None)


def test_the_command_splits_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "people"
    assert cli.run(PersonsSettings, main, [f"output={out}"]) == 0
    parts = [read_persons(out / f"{name}.jsonl") for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [56, 8, 16]
    assert "personas of training in the other parts: 0" in capsys.readouterr().out
    assert cli.run(PersonsSettings, main, [f"output={out}"]) != 0
    assert "is not empty" in capsys.readouterr().err
    train, test = out / "train.jsonl", out / "test.jsonl"
    assert cli.run(PersonsSettings, main, [f"source={test}", f"against={test}"]) == 0
    assert f"also in {test}: 16 of 16 personas" in capsys.readouterr().out
    assert cli.run(PersonsSettings, main, [f"source={test}", f"against={train}"]) == 0
    assert "0 of 16 personas, 0 scenes, 0 ids" in capsys.readouterr().out
    assert cli.run(PersonsSettings, main, ["source=generated"]) == 0
    assert "512 people of generated" in capsys.readouterr().out
