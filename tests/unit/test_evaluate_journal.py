from __future__ import annotations

import json

import pytest

from mint.evaluation.journal import Journal, difference, fingerprint
from rewards.errors import ConfigError, DataError

SETTINGS = {"protocol": "lend_an_ear", "sampling": {"temperature": 0.7, "seed": 42}}
KEY = ("lend_an_ear", "c0", 1, 0)


def test_entries_survive_and_are_found_by_kind_and_key(tmp_path):
    path = tmp_path / "deep" / "journal.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.add("reply", {KEY: {"raw": "I hear you.", "num_tokens": 4}})
        assert journal.get("grade", KEY) is None
    with Journal(path, SETTINGS) as journal:
        assert journal.get("reply", KEY) == {"raw": "I hear you.", "num_tokens": 4}
        assert len(journal) == 1
        journal.add(
            "reply", {("lend_an_ear", "c0", 2, 0): "ü", ("lend_an_ear", "c0", 3, 0): "\u2028"}
        )
    with Journal(path, SETTINGS) as journal:
        assert journal.get("reply", ("lend_an_ear", "c0", 3, 0)) == "\u2028"


def test_other_settings_are_refused_by_name(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.add("reply", {KEY: "I hear you."})
    changed = {**SETTINGS, "sampling": {"temperature": 1.0, "seed": 42}}
    with pytest.raises(
        ConfigError, match=r"begun with sampling\.temperature=0\.7, .* sampling\.temperature=1\.0"
    ):
        Journal(path, changed)
    with pytest.raises(ConfigError, match=r"extra=nothing, .* extra=1"):
        Journal(path, {**SETTINGS, "extra": 1})
    with Journal(path, SETTINGS):
        pass


def test_a_start_that_failed_before_its_first_answer_binds_nobody(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, {**SETTINGS, "model": "mistyped"}):
        pass
    with Journal(path, SETTINGS) as journal:
        journal.add("reply", {KEY: "I hear you."})
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["settings"] for row in rows if "settings" in row] == [SETTINGS]


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_a_line_whose_writer_was_killed_is_dropped_and_written_again(tmp_path, cut):
    path = tmp_path / "journal.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.add("reply", {("a",): 1})
        journal.add("reply", {("b",): 2})
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, SETTINGS) as journal:
        assert journal.get("reply", ("a",)) == 1
        assert journal.get("reply", ("b",)) is None
        journal.add("reply", {("b",): 3})
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["value"] for row in rows[1:]] == [1, 3]


def test_a_journal_killed_in_its_first_line_starts_afresh(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"version": 1, "sett')
    with Journal(path, SETTINGS) as journal:
        assert len(journal) == 0
    assert json.loads(path.read_text())["settings"] == SETTINGS


def test_nothing_is_recorded_twice(tmp_path):
    with Journal(tmp_path / "journal.jsonl", SETTINGS) as journal:
        journal.add("reply", {KEY: 1})
        with pytest.raises(DataError, match="recorded twice"):
            journal.add("reply", {KEY: 1})


def test_two_writers_at_once_are_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, SETTINGS), pytest.raises(ConfigError, match="in use by another"):
        Journal(path, SETTINGS)


def test_broken_lines_name_file_and_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, SETTINGS):
        pass
    path.write_text(path.read_text() + "not json\n")
    with pytest.raises(DataError, match=r"journal\.jsonl:2"):
        Journal(path, SETTINGS)
    path.write_text('{"kind": "reply"}\n')
    with pytest.raises(DataError, match=r"journal\.jsonl:1: not the first line"):
        Journal(path, SETTINGS)


def test_fingerprints_ignore_order_and_see_values():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert difference({"a": {"b": 1}}, {"a": {"b": 1}}) is None
