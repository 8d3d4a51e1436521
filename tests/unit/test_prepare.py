"""`python -m mint.prepare`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mint import prepare
from mint.data.conversation import load_conversations, supporter_turns
from mint.data.dataset import read_rows
from mint.prepare import PrepareConfig, main
from mint.shell import cli
from rewards.errors import ConfigError, GraderError
from rewards.text import split_sentences
from rewards.types import Failure, GraderIdentity, Reply, TaggedSentence, Tagging


class FakeTagger:
    """Tags questions; fails on replies that contain `fail_on`."""

    def __init__(self, fail_on: str | None = None) -> None:
        self.fail_on = fail_on
        self.seen: list[Reply] = []

    @property
    def identity(self) -> GraderIdentity:
        return GraderIdentity(kind="fake", name="fake", revision="1")

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        self.seen += replies
        return [self._one(reply) for reply in replies]

    def _one(self, reply: Reply) -> Tagging | Failure:
        if self.fail_on is not None and self.fail_on in reply.text:
            return Failure("timeout", "no answer")
        return Tagging(
            sentences=tuple(
                TaggedSentence(s, ("questioning",) if s.endswith("?") else (), {})
                for s in split_sentences(reply.text)
            )
        )


def records(count: int, tagged: bool = True) -> list[dict[str, Any]]:
    made = []
    for i in range(count):
        supporter: dict[str, Any] = {"role": "supporter", "content": f"Reply {i}. Really?"}
        if tagged:
            supporter["sentence_tactics"] = [{"sentence": "Really?", "tactics": ["questioning"]}]
        made.append(
            {
                "conversation_id": f"c{i}",
                "source": "test",
                "model": "none",
                "conversation": [{"role": "seeker", "content": f"Hello {i}"}, supporter] * 2,
            }
        )
    return made


def file(tmp_path: Path, value: Any) -> str:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


def run(*arguments: str) -> int:
    return cli.run(PrepareConfig, main, arguments)


@pytest.mark.slow
def test_the_command_writes_a_data_set(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mint.prepare",
            f"input={file(tmp_path, records(20))}",
            f"output={tmp_path / 'out'}",
            "compact=true",
            "style=tactics",
            "seed=3",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "20 conversations, 40 rows, 20 first-turn rows, 40 unique prompts" in done.stdout
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert (card["style"], card["compact"], card["seed"]) == ("tactics", True, 3)
    assert (card["tagger"], card["turns_tagged"], card["skipped"]) == ("from file", 0, [])
    assert card["splits"]["val"]["conversations"] == 2
    assert len(read_rows(tmp_path / "out/train.parquet")) == 36


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("style=fancy", "style must be one of plain, tactics, tactics_history, file, got 'fancy'"),
        ("val_fraction=2", "val_fraction must be in [0, 1), got 2"),
        ("max_history_turns=0", "max_history_turns must be >= 1"),
        ("stile=plain", "unknown key 'stile'; did you mean 'style'?"),
    ],
)
def test_bad_settings_are_one_line_and_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: str, reason: str
) -> None:
    arguments = [f"input={file(tmp_path, records(3))}", f"output={tmp_path / 'out'}", extra]
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_bad_records_stop_it_unless_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = records(6)
    mixed[2]["conversation"] = []
    mixed[4]["conversation"][1]["sentence_tactics"][0]["tactics"] = ["hugging"]
    arguments = [f"input={file(tmp_path, mixed)}", f"output={tmp_path / 'out'}"]
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "in.json: record 2 (id 'c2'): the conversation has no messages" in lines[1]
    assert "in.json: record 4 (id 'c4'): message 1: unknown tactic 'hugging'" in lines[2]
    assert not (tmp_path / "out").exists()

    assert run(*arguments, "--skip-bad") == 0
    assert "2 records left out" in capsys.readouterr().out
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert card["conversations"] == 4
    assert [s["index"] for s in card["skipped"]] == [2, 4]


def test_an_output_folder_with_files_is_kept_unless_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [f"input={file(tmp_path, records(4))}", f"output={out}"]
    assert run(*arguments) == 0
    before = (out / "card.json").read_bytes()
    assert run(*arguments, "seed=5") == 2
    assert "not empty; choose another one, or add --overwrite" in capsys.readouterr().err
    assert (out / "card.json").read_bytes() == before
    assert run(*arguments, "seed=5", "--overwrite") == 0
    assert json.loads((out / "card.json").read_text())["seed"] == 5
    assert run(f"input={arguments[0][6:]}", f"output={arguments[0][6:]}") == 2
    assert "is a file; give a folder" in capsys.readouterr().err


def test_untagged_turns_are_tagged(tmp_path: Path) -> None:
    raw = records(4, tagged=False)
    raw[1]["conversation"][1] = {"role": "supporter", "content": "  "}
    tagger = FakeTagger()
    config = PrepareConfig(
        input=file(tmp_path, raw),
        output=str(tmp_path / "out"),
        val_fraction=0,
        tagged=str(tmp_path / "tagged.json"),
    )
    card = prepare.prepare(config, tagger)
    assert card["tagger"]["name"] == "fake"
    assert card["turns_tagged"] == 8
    # records() repeats one pair of messages, so the empty turn occurs once.
    assert len(tagger.seen) == 7
    assert len(tagger.seen[1].history) == 3
    rows = read_rows(tmp_path / "out/train.parquet")
    assert rows[1].previous_counts == (0, 0, 0, 0, 0, 0, 0, 1, 0, 0)
    assert rows[3].previous_counts == (0,) * 10
    assert "None of the ten tactics was found" in rows[3].system
    again = load_conversations(tmp_path / "tagged.json").conversations
    assert all(t.turn.sentence_tactics is not None for c in again for t in supporter_turns(c))


def test_a_failing_tagger_stops_it_unless_skipped(tmp_path: Path) -> None:
    raw = [3, *records(4, tagged=False)]
    config = PrepareConfig(input=file(tmp_path, raw), output=str(tmp_path / "out"), skip_bad=True)
    card = prepare.prepare(config, FakeTagger("Reply 2"))
    assert card["conversations"] == 3
    assert [(s["index"], s["conversation_id"]) for s in card["skipped"]] == [(0, None), (3, "c2")]
    assert card["skipped"][1]["reason"] == "tagger: timeout: no answer"

    (tmp_path / "exclude.jsonl").write_text('{"conversation_id": "c0"}')
    fewer = replace(config, exclude=str(tmp_path / "exclude.jsonl"), overwrite=True)
    card = prepare.prepare(fewer, FakeTagger("Reply 2"))
    assert [s["index"] for s in card["skipped"]] == [0, 3]

    strict = PrepareConfig(input=file(tmp_path, raw[1:]), output=str(tmp_path / "strict"))
    with pytest.raises(GraderError, match=r"record 2 \(id 'c2'\): tagger: timeout: no answer"):
        prepare.prepare(strict, FakeTagger("Reply 2"))
    assert not (tmp_path / "strict").exists()


@pytest.mark.slow
def test_official_conversations_give_the_known_numbers(tmp_path: Path, upstream: Path) -> None:
    config = PrepareConfig(
        input=str(upstream / "data/training/conversations_322.json"), output=str(tmp_path / "out")
    )
    card = prepare.prepare(config, FakeTagger())
    names = ("conversations", "rows", "first_turn_rows", "unique_prompts")
    assert [card[name] for name in names] == [322, 1719, 322, 1687]
    assert card["conversations_by_source"] == {"sense-7": 69, "wildchat": 253}
    train, val = (read_rows(tmp_path / f"out/{name}.parquet") for name in ("train", "val"))
    assert len(train) + len(val) == 1719
    assert not {row.history for row in train} & {row.history for row in val}
    assert card["splits"]["val"]["conversations"] == 32


def test_missing_input_is_named(tmp_path: Path) -> None:
    config = PrepareConfig(input=str(tmp_path / "no.json"), output=str(tmp_path / "out"))
    with pytest.raises(ConfigError, match=r"no\.json cannot be read"):
        prepare.prepare(config)


def test_a_prompt_of_a_file_and_its_length_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = tmp_path / "coach.txt"
    prompt.write_text("Fewer than {max_tokens} tokens, coach.\n", encoding="utf-8")
    arguments = [f"input={file(tmp_path, records(4))}", f"output={tmp_path / 'out'}"]
    style = ["style=file", f"prompt_file={prompt}", "max_tokens_hint=80"]
    assert run(*arguments, *style) == 0
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert (card["style"], card["max_tokens_hint"]) == ("file", 80)
    assert card["template"] == "Fewer than {max_tokens} tokens, coach."
    rows = read_rows(tmp_path / "out/train.parquet")
    assert {row.system for row in rows} == {"Fewer than 80 tokens, coach."}

    prompt.write_text(" \n", encoding="utf-8")
    for wrong, reason in (
        (style[:1], "style=file and prompt_file=FILE belong together"),
        (style[1:2], "style=file and prompt_file=FILE belong together"),
        (style, "is empty"),
        ([style[0], f"prompt_file={tmp_path}"], "cannot be read"),
    ):
        assert run(*arguments, "--overwrite", *wrong) == 2
        assert reason in capsys.readouterr().err
