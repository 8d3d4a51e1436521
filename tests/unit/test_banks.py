"""The authored material: format checks, and the shipped files."""

from __future__ import annotations

import json
from pathlib import Path

import pysbd
import pytest

from mint.data.banks import SLOTS, Banks, fill, load_banks, slots_of
from mint.shell.paths import data_dir
from rewards.errors import ConfigError, DataError
from rewards.tactics import TACTIC_NAMES
from rewards.text import split_sentences

SCENARIO = {
    "id": "lost-dog",
    "who": "a man",
    "situation": "His dog ran away.",
    "event": "losing your dog",
    "feelings": ["sad", "tired"],
    "openings": ["My dog is gone."],
    "follow_ups": ["One.", "Two.", "Three.", "Four."],
}


def write_banks(folder: Path, scenarios: int = 5, sentences: int = 12) -> Path:
    """A small valid data folder."""
    (folder / "sentences").mkdir(parents=True)
    (folder / "scenarios").mkdir()
    for name in TACTIC_NAMES:
        lines = [f"Plain {name} number {i}." for i in range(sentences)]
        lines += [f"About {{event}}, a {name} line.", f"When {{feeling}}, a {name} line."]
        (folder / f"sentences/{name}.txt").write_text("\n".join(lines) + "\n")
    made = [
        SCENARIO | {"id": f"scenario-{i}", "openings": [f"My dog {i} is gone."]}
        for i in range(scenarios)
    ]
    (folder / "scenarios/pets.json").write_text(json.dumps(made))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_banks(tmp_path / "data")


@pytest.fixture(scope="module")
def shipped() -> Banks:
    return load_banks(data_dir())


def test_valid_files_load(folder: Path) -> None:
    banks = load_banks(folder)
    assert tuple(banks.sentences) == TACTIC_NAMES
    assert len(banks.scenarios) == 5
    assert banks.scenarios[0].follow_ups == ("One.", "Two.", "Three.", "Four.")


def test_the_hash_follows_the_content(folder: Path) -> None:
    first = load_banks(folder).sha256
    assert load_banks(folder).sha256 == first
    (folder / "sentences/advice.txt").write_text("Try to rest.\n")
    assert load_banks(folder).sha256 != first


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "a line must be one sentence"),
        (" Spaces around.", "a line must be one sentence"),
        ("Two sentences. In one line.", "exactly one sentence"),
        ("No end mark", "exactly one sentence"),
        ("It is {mood} here.", r"slots are \{feeling\}, \{event\}, nothing else"),
        ("It is {feeling here.", "nothing else in braces"),
        ("Both {event} and {event}.", "a slot may occur once"),
        ("{event} is hard.", "must not start with a slot"),
        ("Plain questioning number 3.", r"occurs before, at .*questioning\.txt:4"),
    ],
)
def test_a_bad_sentence_is_refused_with_file_and_line(folder: Path, line: str, reason: str) -> None:
    (folder / "sentences/reappraisal.txt").write_text(f"Good line.\n{line}\nAnother.\n")
    with pytest.raises(DataError, match=rf"reappraisal\.txt:2: .*{reason}"):
        load_banks(folder)


def test_missing_unknown_and_slot_only_banks_are_refused(folder: Path) -> None:
    (folder / "sentences/advice.txt").write_text("About {event}, rest.\n")
    with pytest.raises(DataError, match=r"advice\.txt: needs at least one sentence without slots"):
        load_banks(folder)
    (folder / "sentences/advice.txt").unlink()
    with pytest.raises(ConfigError, match=r"lacks advice\.txt"):
        load_banks(folder)
    (folder / "sentences/hugging.txt").write_text("There.\n")
    with pytest.raises(DataError, match=r"hugging\.txt: no such tactic; allowed: information"):
        load_banks(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event": ""}, "event must be text"),
        ({"event": "the {thing}"}, "event must be text without braces"),
        ({"feelings": ["sad"]}, "feelings needs at least 2 entries, got 1"),
        ({"feelings": "sad"}, "feelings must be a list of texts"),
        ({"follow_ups": [1, 2, 3, 4]}, "follow_ups must be a list of texts"),
        ({"mood": "x"}, "'mood' is missing or unknown"),
    ],
)
def test_a_bad_scenario_is_refused_with_file_and_record(
    folder: Path, change: dict, reason: str
) -> None:
    records = [SCENARIO, SCENARIO | {"id": "second"} | change]
    (folder / "scenarios/pets.json").write_text(json.dumps(records))
    with pytest.raises(DataError, match=rf"pets\.json: record 1 \(id 'second'\): {reason}"):
        load_banks(folder)


def test_scenario_files_must_be_json_lists_with_unique_ids(folder: Path) -> None:
    path = folder / "scenarios/pets.json"
    path.write_text("[{]")
    with pytest.raises(DataError, match=r"pets\.json:1:3: "):
        load_banks(folder)
    path.write_text("{}")
    with pytest.raises(DataError, match="non-empty JSON list"):
        load_banks(folder)
    path.write_text(json.dumps([SCENARIO, SCENARIO]))
    with pytest.raises(DataError, match="'lost-dog' is used twice"):
        load_banks(folder)
    path.unlink()
    with pytest.raises(ConfigError, match="holds no scenarios"):
        load_banks(folder)


def test_slots_are_found_and_filled() -> None:
    sentence = "You feel {feeling} about {event}."
    assert slots_of(sentence) == set(SLOTS)
    assert fill(sentence, {"feeling": "low", "event": "the {x}"}) == "You feel low about the {x}."


def test_shipped_banks_are_large_enough(shipped: Banks) -> None:
    assert {name: len(bank) >= 40 for name, bank in shipped.sentences.items()} == dict.fromkeys(
        TACTIC_NAMES, True
    )
    assert len(shipped.scenarios) >= 40
    assert all(len(s.follow_ups) >= 4 for s in shipped.scenarios)


@pytest.mark.slow
def test_shipped_lines_are_one_sentence_for_both_splitters(shipped: Banks) -> None:
    splitter = pysbd.Segmenter(language="en", clean=False)
    scenario = shipped.scenarios[0]
    slots = {"event": scenario.event, "feeling": scenario.feelings[0]}
    lines = [fill(line, slots) for bank in shipped.sentences.values() for line in bank]
    assert [line for line in lines if len(splitter.segment(line)) != 1] == []
    assert [line for line in lines if split_sentences(line) != [line]] == []
