"""`python -m mint.tag` and `python -m mint.judge` as a shell user meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mint.jsonl_filter import BATCH, run_filter, text_field
from mint.judge import parse_request as parse_rating
from mint.tag import parse_request as parse_tagging
from rewards.errors import DataError, GraderError
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS, Message

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
    written: list[str] = []
    run_filter(
        lambda row: text_field(row, "reply"),
        answer or (lambda texts: [{"reply": text} for text in texts]),
        input_fd=read,
        write=written.append,
    )
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
    good = "That sounds painful, and it makes sense that you are shaken. What hurts most?"
    lines = [
        {"history": [SEEKER], "reply": good},
        {"history": [SEEKER], "reply": "Get over it. You should just apply somewhere."},
        {"history": [{"role": "system", "content": "x"}], "reply": good},
        {"history": [], "reply": good},
        {"reply": good},
    ]
    rows = answers(run("mint.judge", stdin="\n".join(map(json.dumps, lines)).encode()))
    assert [("error" in row) for row in rows] == [0, 0, 1, 0, 1]
    assert list(rows[0]) == [*DIMENSIONS, "aggregated_empathy"]
    assert all(1.0 <= value <= 5.0 for value in rows[0].values())
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
