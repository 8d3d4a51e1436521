"""All protocols on a real tiny policy with the shipped graders, here and behind a real server."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from loopback import Answer, Loopback, chat

from mint.config.evaluation import GenerationConfig
from mint.evaluate import main
from mint.evaluation.generate import ReplyGenerator
from mint.evaluation.generation import Prompt
from mint.evaluation.options import EvaluateSettings
from mint.report import ReportSettings
from mint.report import main as report
from mint.shell.files import read_json_lines

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SMALL = {"limit": 3, "dialogues": 3, "turns": 3, "max_new_tokens": 40, "resamples": 200}
FILES = (
    "lend_an_ear.json",
    "free_running.json",
    "baselines.json",
    "probes.json",
    "probes.md",
    "lend_an_ear_replies.jsonl",
    "free_running_replies.jsonl",
    "baselines_plain_replies.jsonl",
    "probes_replies.jsonl",
)


def settings(workplace: Path, output: Path, **subject) -> EvaluateSettings:
    data = str(workplace / "outputs/tiny-data/val.parquet")
    return EvaluateSettings(**{**SMALL, "data": data, "output": str(output), **subject})


@pytest.fixture(scope="module")
def here(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All protocols on the policy in this process."""
    output = tmp_path_factory.mktemp("here")
    policy = str(workplace / "outputs/tiny-policy")
    assert main(settings(workplace, output, model=policy)) == 0
    return output


def test_all_protocols_write_their_results(here: Path) -> None:
    for name in FILES:
        assert (here / name).stat().st_size > 0, name
    conditions = {}
    for protocol in ("lend_an_ear", "free_running", "baselines"):
        result = json.loads((here / f"{protocol}.json").read_text())
        assert result["graders"]["judge"]["revision"]
        assert result["subject"]["weights"]
        conditions |= result["conditions"]
    assert len(conditions) == 1 + 1 + 6
    for name, row in conditions.items():
        if "verbalized" not in name:
            assert row["counts"]["graded"] > 0, name
            assert 1 <= row["metrics"]["empathy"]["mean"] <= 5
    # A policy of four million parameters writes no JSON: nothing of it may be scored.
    assert conditions["baselines_verbalized_plain"]["counts"]["graded"] == 0
    assert conditions["baselines_verbalized_plain"]["counts"]["parse_failed"] > 0
    dialogues = read_json_lines(here / "free_running_replies.jsonl")
    assert len(dialogues) == 9
    assert len({row["seeker"] for row in dialogues}) == 9


def test_running_again_changes_nothing_and_generates_nothing(
    here: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a model was loaded although everything is in the journal")

    monkeypatch.setattr("mint.evaluation.generate.ReplyGenerator", refuse)
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    assert main(settings(workplace, here, model=str(workplace / "outputs/tiny-policy"))) == 0
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


def test_the_same_policy_behind_a_server(here: Path, workplace: Path, tmp_path: Path) -> None:
    options = GenerationConfig(samples_per_prompt=1, max_new_tokens=40)
    lock = threading.Lock()
    with ReplyGenerator(workplace / "outputs/tiny-policy", options) as generator:

        def handle(seen):
            prompt = Prompt(str(seen.body["seed"]), tuple(seen.body["messages"]))
            with lock:
                replies = dict(next(generator.batches([prompt])))
            reply = replies[0][0]
            finish = "length" if reply.truncated else "stop"
            return Answer(chat(reply.raw, finish_reason=finish))

        server = Loopback(handle)
        try:
            asked = settings(
                workplace,
                tmp_path / "served",
                endpoint=f"{server.url}/v1",
                model="tiny",
                protocol="lend_an_ear,free_running",
            )
            assert main(asked) == 0
        finally:
            server.stop()
    result = json.loads((tmp_path / "served" / "free_running.json").read_text())
    counts = result["conditions"]["free_running"]["counts"]
    assert (counts["asked"], counts["unanswered"]) == (9, 0)
    assert result["subject"]["kind"] == "endpoint"
    page = tmp_path / "page.html"
    runs = [str(here), str(tmp_path / "served")]
    report(ReportSettings(runs=runs, output=str(page), resamples=200))
    text = page.read_text(encoding="utf-8")
    assert "Free-running dialogues: empathy and self-stickiness" in text
    assert 'class="heat"' in text
