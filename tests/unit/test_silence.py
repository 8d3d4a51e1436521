"""Replies with nothing visible: counted, named, and asked for again on demand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_graders import FakeJudge, FakeTagger
from loopback import Answer, chat

from mint.evaluate import main
from mint.evaluation.generation import Generation
from mint.evaluation.journal import Journal
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.silence import forget_silent, in_words
from mint.shell import cli
from rewards.build import Graders

TALE = {"role": "seeker", "content": "My dog died."}
TAGS = [{"sentence": "Why?", "tactics": ["questioning"]}]
TURN = {"role": "supporter", "content": "Why?", "sentence_tactics": TAGS}


@pytest.fixture(autouse=True)
def graders(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Graders(FakeTagger(), FakeJudge())
    monkeypatch.setattr("mint.evaluation.subjects.ready_graders", lambda *_: made)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.json"
    rows = [
        {"conversation_id": f"c{i}", "conversation": [TALE, TURN, TALE, TURN]} for i in range(2)
    ]
    path.write_text(json.dumps(rows))
    return path


class Server:
    """Says nothing to the second turn until it is put right."""

    right = False

    def __call__(self, seen) -> Answer:
        later = len(seen.body["messages"]) > 2
        if later and not self.right:
            return Answer(chat("<think>hm" if "c1" in str(seen.body) else ""))
        return Answer(chat("Why is that?"))


def run(server, output: Path, *more: str) -> int:
    usual = (f"endpoint={server.url}/v1", "model=m", f"output={output}", "resamples=200")
    return cli.run(EvaluateSettings, main, [*usual, *more])


@pytest.mark.slow
def test_empty_replies_are_named_and_asked_for_again(tmp_path, data, serve, capsys) -> None:
    set_up = Server()
    server = serve(set_up)
    arguments = (tmp_path / "out", "protocol=lend_an_ear", f"data={data}")
    assert run(server, *arguments) == 0
    said = capsys.readouterr().out
    assert "2 of 4 replies graded, 2 conversations (2 empty)" in said
    assert "nothing visible in 2: c0 turn 1, c1 turn 1; retry_failed=true asks again" in said
    found = json.loads((tmp_path / "out" / "lend_an_ear.json").read_text())
    assert found["conditions"]["lend_an_ear"]["nothing_visible"] == [
        {"conversation_id": f"c{i}", "turn": 1, "sample": 0, "status": "empty"} for i in (0, 1)
    ]
    set_up.right = True
    assert run(server, *arguments) == 0
    assert len(server.posts()) == 4, "what is recorded stays unless asked otherwise"
    capsys.readouterr()
    assert run(server, *arguments, "retry_failed=true") == 0
    printed = capsys.readouterr()
    assert "2 replies with nothing visible are asked for again" in printed.err
    assert "4 of 4 replies graded" in printed.out
    assert "nothing visible in" not in printed.out
    assert len(server.posts()) == 6
    # The settings are the same, so the journal still belongs to this evaluation.
    assert run(server, *arguments) == 0
    assert len(server.posts()) == 6


@pytest.mark.slow
def test_conversations_are_held_anew_from_an_empty_reply_on(tmp_path, serve, capsys) -> None:
    set_up = Server()
    server = serve(set_up)
    arguments = (tmp_path / "out", "protocol=free_running", "turns=3", "dialogues=2")
    assert run(server, *arguments) == 0
    first = len(server.posts())
    set_up.right = True
    assert run(server, *arguments, "retry_failed=true") == 0
    # The first turns of both stay, two more of each are asked for again.
    assert len(server.posts()) == first + 4
    assert "6 of 6 replies graded" in capsys.readouterr().out


@pytest.mark.slow
def test_safety_probes_too(tmp_path, serve, capsys) -> None:
    silent = serve(lambda seen: Answer(chat("" if "crisis" in seen.path else "...")))
    assert run(silent, tmp_path / "out", "protocol=probes") == 0
    said = capsys.readouterr().out
    total = json.loads((tmp_path / "out" / "probes.json").read_text())
    assert len(total["nothing_visible"]) == total["counts"]["asked"]
    assert f"nothing visible in {total['counts']['asked']}: " in said
    assert f"and {total['counts']['asked'] - 6} more" in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("replies=r.jsonl",), "replies=FILE cannot; mend the file"),
        (
            ("endpoint=http://h", "model=m", "server.cache=c.db", "server.revision=1"),
            "server.cache=c.db would give the same answers",
        ),
    ],
)
def test_what_cannot_be_asked_again_is_refused(given, said, capsys) -> None:
    assert cli.run(EvaluateSettings, main, [*given, "retry_failed=true"]) == 2
    assert said in capsys.readouterr().err


def test_what_followed_from_a_silent_reply_is_forgotten_and_nothing_else(tmp_path) -> None:
    path = tmp_path / "journal.jsonl"
    said, silent = (Generation(raw, 3, False)._asdict() for raw in ("I hear you.", "<think>hm"))
    with Journal(path, {}) as journal:
        for turn, reply in enumerate((said, silent, said)):
            journal.add("reply", {("talk", "ada", turn, 0): reply, ("talk", "ada", turn, 1): said})
            journal.add("grade", {("talk", "ada", turn, 0): {}, ("talk", "ada", turn, 1): {}})
        journal.add("seeker", {("talk", "ada", heard, 0): {} for heard in range(4)})
        journal.add("rubric", {("talk", "ada/0"): {}, ("talk", "ada/1"): {}})
        journal.add("tags", {("ada", 1): []})
        assert forget_silent(journal, talks=True) == 1
        left = {(kind, key) for kind, key, _ in journal.entries()}
    # The seeker's opening and its answer to the reply before stay.
    assert left == {
        *((kind, ("talk", "ada", turn, 1)) for kind in ("reply", "grade") for turn in range(3)),
        ("reply", ("talk", "ada", 0, 0)),
        ("grade", ("talk", "ada", 0, 0)),
        *(("seeker", ("talk", "ada", heard, 0)) for heard in (0, 1)),
        ("rubric", ("talk", "ada/1")),
        ("tags", ("ada", 1)),
    }
    with Journal(path, {}) as journal:
        assert {(kind, key) for kind, key, _ in journal.entries()} == left
        assert forget_silent(journal, talks=True) == 0
        journal.add("reply", {("talk", "ada", 1, 0): said})
    with Journal(path, {}) as journal:
        assert journal.get("reply", ("talk", "ada", 1, 0)) == said
    assert "<think>hm" in path.read_text(), "the journal keeps what it was told at first"


def test_where_fixed_histories_are_answered_only_the_silent_one_goes(tmp_path) -> None:
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        for turn, raw in enumerate(("a", " ", "c")):
            key = ("lend_an_ear", "c0", turn, 0)
            journal.add("reply", {key: Generation(raw, 1, False)._asdict()})
            journal.add("grade", {key: {}})
        assert forget_silent(journal, talks=False) == 1
        assert {key[2] for _, key, _ in journal.entries()} == {0, 2}


@pytest.mark.slow
def test_the_line_for_people() -> None:
    assert in_words([]) == []
    assert in_words(["a turn 0"], remedy=False) == ["  nothing visible in 1: a turn 0"]
    (line,) = in_words([str(i) for i in range(8)])
    assert (
        line == "  nothing visible in 8: 0, 1, 2, 3, 4, 5 and 2 more; retry_failed=true asks again"
    )
