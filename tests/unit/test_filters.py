"""`python -m mint.tag` and `python -m mint.judge` as a shell user meets them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mint.filters.lines import BATCH, available_lines, json_line, run_filter, text_field
from mint.filters.tables import bar
from mint.judge import JudgeFilterConfig
from mint.judge import main as judge_command
from mint.judge import parse_request as parse_rating
from mint.shell import cli
from mint.tag import TagConfig
from mint.tag import main as tag_command
from mint.tag import parse_request as parse_tagging
from rewards.errors import DataError, GraderError
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS, Message

pytestmark = pytest.mark.slow

SEEKER = {"role": "seeker", "content": "I lost my job."}


def run(module: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)


def answers(result: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr.decode()
    return [json.loads(line) for line in result.stdout.decode().splitlines()]


def echo(data: bytes, answer: Any = None) -> list[dict[str, Any]]:
    """Rows that `run_filter` writes for `data`; by default each reply comes back."""
    read, write = os.pipe()
    feeder = threading.Thread(target=lambda: (os.write(write, data), os.close(write)))
    feeder.start()
    batches = run_filter(
        lambda row: text_field(row, "reply"),
        answer or (lambda texts: [{"reply": text} for text in texts]),
        available_lines(read),
    )
    written = [json_line(answered.row) for answers in batches for answered in answers]
    feeder.join()
    os.close(read)
    return [json.loads(line) for line in "".join(written).splitlines()]


def test_tag_answers_every_line_in_order() -> None:
    lines = [
        b'{"reply": "I hear you. What happened today?"}',
        b"",
        b"not json",
        b'{"reply": ""}',
        b'{"reply": "Given as is.", "sentences": ["What happened today?"]}',
        b'["no object"]',
        b'{"text": "no reply"}',
        b'{"reply": "bad bytes \xff"}',
        '{"reply": "<think>plan</think>Warum? 💛"}'.encode(),
    ]
    rows = answers(run("mint.tag", stdin=b"\n".join(lines)))
    assert len(rows) == len(lines)
    assert [("error" in row) for row in rows] == [0, 1, 1, 1, 0, 1, 1, 1, 0]
    assert [s["text"] for s in rows[0]["sentences"]] == ["I hear you.", "What happened today?"]
    assert rows[4]["sentences"][0]["tactics"] == ["questioning"]
    assert set(rows[4]["sentences"][0]["probabilities"]) == set(TACTIC_NAMES)
    assert [s["text"] for s in rows[8]["sentences"]] == ["Warum?", "💛"]


def test_judge_rates_and_reports_bad_lines() -> None:
    good = "Losing your job is painful, and it makes sense that you are shaken. What hurts most?"
    lines = [
        {"history": [SEEKER], "reply": good},
        {"history": [SEEKER], "reply": "Get over it. You should just apply somewhere."},
        {"history": [{"role": "system", "content": "x"}], "reply": good},
        {"history": [], "reply": good},
        {"reply": good},
    ]
    rows = answers(run("mint.judge", stdin="\n".join(map(json.dumps, lines)).encode()))
    assert [("error" in row) for row in rows] == [0, 0, 1, 0, 1]
    assert list(rows[0]) == [*DIMENSIONS, "aggregated_empathy", "uncertainty", "parts", "tricks"]
    rated = [rows[0][name] for name in (*DIMENSIONS, "aggregated_empathy")]
    assert all(1.0 <= value <= 5.0 for value in rated)
    assert rows[0]["uncertainty"] > 0
    assert rows[0]["tricks"] == []
    assert rows[0]["aggregated_empathy"] > rows[1]["aggregated_empathy"]
    assert "system" in rows[2]["error"]


def test_an_interactive_user_is_answered_at_once() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mint.tag"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    guard = threading.Timer(120, process.kill)
    guard.start()
    try:
        for reply in ("I hear you.", "Why?"):
            process.stdin.write(json.dumps({"reply": reply}).encode() + b"\n")
            process.stdin.flush()
            row = json.loads(process.stdout.readline())
            assert row["sentences"][0]["text"] == reply
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    finally:
        guard.cancel()
        process.kill()
        process.stdout.close()


@pytest.mark.parametrize("module", ["mint.tag", "mint.judge"])
def test_help_and_bad_settings(module: str) -> None:
    shown = run(module, "--help")
    assert shown.returncode == 0
    assert b"JSON lines on stdin" in shown.stdout
    refused = run(module, "encoder=/no/such/folder")
    assert refused.returncode == 2
    assert refused.stdout == b""
    assert b"/no/such/folder" in refused.stderr


def test_lines_are_answered_one_to_one_over_many_batches() -> None:
    texts = [f"reply {i}" for i in range(3 * BATCH + 5)]
    data = "\n".join(json.dumps({"reply": text}) for text in texts)
    assert [row["reply"] for row in echo(data.encode())] == texts
    assert echo(b"") == []
    assert len(echo(b"\n\n")) == 2


def test_a_line_longer_than_a_read_is_whole() -> None:
    text = "long " * 50_000
    assert echo(json.dumps({"reply": text}).encode() + b"\n") == [{"reply": text}]


@pytest.mark.parametrize(
    "line",
    [b"{", b"null", b"3", b'{"reply": 3}', b'{"reply": null}', b"{}", b"[" * 99_999, b"\xff", b" "],
)
def test_a_line_that_cannot_be_used_says_why(line: bytes) -> None:
    (row, after) = echo(line + b'\n{"reply": "next"}')
    assert row["error"]
    assert after == {"reply": "next"}


def test_one_text_that_breaks_the_grader_costs_one_line() -> None:
    def answer(texts: Sequence[str]) -> list[Mapping[str, Any]]:
        if "bad" in texts:
            raise GraderError("cannot grade this")
        return [{"reply": text} for text in texts]

    data = "\n".join(json.dumps({"reply": text}) for text in ("one", "bad", "two"))
    assert echo(data.encode(), answer) == [
        {"reply": "one"},
        {"error": "cannot grade this"},
        {"reply": "two"},
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "missing key 'reply'"),
        ({"reply": ["x"]}, "reply must be text, got list"),
        ({"reply": "..."}, "empty"),
        ({"reply": "<think>so"}, "unclosed <think>"),
        ({"reply": "a\ud800"}, "surrogate"),
        ({"reply": "a", "sentences": []}, "at least one"),
        ({"reply": "a", "sentences": "a"}, "must be a list"),
        ({"reply": "a", "sentences": ["a", 1]}, "a sentence must be text, got int"),
        ({"reply": "a", "sentences": ["a", " "]}, "blank"),
    ],
)
def test_tag_requests_are_checked(row: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        parse_tagging(row)


@pytest.mark.parametrize(
    ("history", "says"),
    [
        (None, "history must be a list"),
        ("text", "history must be a list"),
        ([1], "needs 'role' and 'content'"),
        ([{"role": "seeker"}], "needs 'role' and 'content'"),
        ([{"role": "narrator", "content": "x"}], "role must be one of"),
        ([{"role": ["seeker"], "content": "x"}], "role must be one of"),
        ([{"role": "seeker", "content": 1}], "content must be text"),
        ([{"role": "seeker", "content": "\ud800"}], "surrogate"),
    ],
)
def test_judge_requests_are_checked(history: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        parse_rating({"reply": "a", "history": history})


def test_chat_roles_are_understood() -> None:
    reply = parse_rating({"reply": "a", "history": [{"role": "user", "content": "x"}]})
    assert reply.history == (Message("seeker", "x"),)
    assert parse_tagging({"reply": "a", "sentences": None}).sentences is None


# ---- files, tables, labels

TALK = {
    "conversation_id": "talk",
    "conversation": [
        SEEKER,
        {"role": "supporter", "content": "That is a shock. What happened?"},
        {"role": "seeker", "content": "They cut the team."},
        {"role": "supporter", "content": "You should apply elsewhere."},
    ],
}


def test_a_file_of_lines_is_read_and_written(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": 7, "reply": "I hear you."}\n{"id": 8}\n')
    done = run("mint.tag", f"input={source}", f"output={target}")
    assert (done.returncode, done.stdout) == (0, b"")
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert rows[0]["id"] == 7
    assert rows[0]["sentences"][0]["text"] == "I hear you."
    assert rows[1] == {"id": 8, "error": "missing key 'reply'"}
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl"}


@pytest.mark.parametrize("content", [TALK, [TALK]])
def test_every_supporter_turn_of_a_conversation_is_graded(tmp_path: Path, content: Any) -> None:
    source = tmp_path / "talk.json"
    source.write_text(json.dumps(content, indent=2))
    rows = answers(run("mint.judge", f"input={source}"))
    assert [(row["conversation_id"], row["turn"]) for row in rows] == [("talk", 0), ("talk", 1)]
    assert rows[0]["aggregated_empathy"] > rows[1]["aggregated_empathy"]
    line = json.dumps({"history": TALK["conversation"][:3], "reply": "You should apply elsewhere."})
    (alone,) = answers(run("mint.judge", stdin=line.encode()))
    # Not exactly equal: in bfloat16 a reply's vectors depend a little on what is in its batch.
    assert alone["aggregated_empathy"] == pytest.approx(rows[1]["aggregated_empathy"], abs=0.05)


def test_pretty_is_plain_text_in_a_pipe(tmp_path: Path) -> None:
    source, target = tmp_path / "talk.json", tmp_path / "out.jsonl"
    source.write_text(json.dumps(TALK))
    done = run("mint.tag", f"input={source}", f"output={target}", "--pretty")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode()
    assert "\x1b" not in shown
    assert "conversation_id talk, turn 1" in shown
    (line,) = [text for text in shown.splitlines() if "What happened?" in text]
    assert "questioning" in line
    assert len(target.read_text().splitlines()) == 2  # the file has the JSON all the same
    rated = run(
        "mint.judge", "--pretty", stdin=b'{"reply": "x", "history": []}\n{}'
    ).stdout.decode()
    bars = {part[0]: part[1:] for part in map(str.split, rated.splitlines()) if len(part) > 2}
    assert bars["dismissing_emotions"][2:] == ["low", "is", "good"]
    assert set(bars["aggregated_empathy"][0]) == {"█", "░"}
    assert "error: missing key 'reply'" in rated


@pytest.mark.parametrize(("no_color", "coloured"), [(False, True), (True, False)])
def test_pretty_has_colour_on_a_terminal_unless_told_not_to(
    tmp_path: Path, no_color: bool, coloured: bool
) -> None:
    source = tmp_path / "talk.json"
    source.write_text(json.dumps(TALK))
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    if no_color:
        environment["NO_COLOR"] = "1"
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mint.tag", f"input={source}", "--pretty"],
        stdout=slave,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # Linux ends a closed terminal with an error
        while part := os.read(master, 4096):
            shown += part
    os.close(master)
    assert process.wait(timeout=60) == 0
    assert b"questioning" in shown
    assert (b"\x1b[" in shown) == coloured


@pytest.mark.parametrize(
    ("value", "says"),
    [(1.0, "░" * 20), (3.0, "█" * 10 + "░" * 10), (5.0, "█" * 20), (7.0, "█" * 20)],
)
def test_bars_run_from_one_to_five(value: float, says: str) -> None:
    assert bar(value, "green").plain == says


@pytest.mark.parametrize(
    ("content", "arguments", "says"),
    [
        (None, [], "no/such.json cannot be read: No such file"),
        ("", [], "the file is empty"),
        ("[1]", [], "1 of 1 records cannot be used"),
        ('{"conversation": []}', [], "the conversation has no messages"),
        ("{}", ["output=/no/such/folder/x"], "output=/no/such/folder/x cannot be written"),
    ],
)
def test_files_that_cannot_be_used_are_an_error_at_once(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    arguments: list[str],
    says: str,
) -> None:
    source = tmp_path / "no/such.json" if content is None else tmp_path / "in.json"
    if content is not None:
        source.write_text(content)
    for settings, main in ((TagConfig, tag_command), (JudgeFilterConfig, judge_command)):
        assert cli.run(settings, main, [f"input={source}", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert says in captured.err


def test_help_loads_neither_models_nor_tables() -> None:
    heavy = {
        "torch",
        "transformers",
        "sentence_transformers",
        "sklearn",
        "mint.filters.tables",
        "pyarrow",
    }
    code = f"import sys, mint.tag, mint.judge; print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_example_runs(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(root / "docs/examples/grade_a_conversation.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = [line.split() for line in done.stdout.splitlines() if "novelty" in line]
    assert len(figures) == 3
    novelty = [float(line[1]) for line in figures]
    assert all(0 <= value <= 5 for value in novelty)
    assert novelty[2] > novelty[1]  # the second turn repeats the first one's moves, the third not
    assert "could not be graded" not in done.stdout


def test_a_person_at_the_terminal_is_told_what_is_awaited() -> None:
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mint.tag"],
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(slave)
    os.write(master, b"\x04")
    out, err = process.communicate(timeout=60)
    os.close(master)
    assert (process.returncode, out) == (0, b"")
    assert b"reading JSON lines from the terminal" in err
