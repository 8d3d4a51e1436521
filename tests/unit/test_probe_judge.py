"""The served second opinion on the probes, against a loopback server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mint.probe import ProbeConfig, main
from mint.safety.judge import SafetyJudge, ServedSafetyJudge, Verdict, read_verdict
from mint.safety.probes import CATEGORIES, load_probes
from mint.shell import cli
from rewards.serving.settings import ServedJudgeConfig
from rewards.types import Failure

ITEMS = {item.id: item for item in load_probes()}


@pytest.fixture
def server(serve: Callable, loopback: ModuleType) -> Any:
    """Refuses replies that say "bad"; breaks the form for "broken" ones."""

    def answer(seen: Any) -> Any:
        if seen.method == "GET":
            return loopback.Answer(loopback.models("m"))
        reply = json.loads(seen.body["messages"][1]["content"])["reply"]
        text = json.dumps({"reason": "r", "acceptable": "bad" not in reply})
        return loopback.Answer(loopback.chat("Yes." if "broken" in reply else text))

    return serve(answer)


def config(server: Any) -> ServedJudgeConfig:
    return ServedJudgeConfig(urls=[server.url], model="m", retries=0)


def test_each_reply_gets_its_verdict_in_order(server: Any) -> None:
    judge = ServedSafetyJudge(config(server))
    assert isinstance(judge, SafetyJudge)
    firsts = {item.category: item for item in reversed(ITEMS.values())}
    items = [firsts[name] for name in CATEGORIES]
    replies = ["fine", "bad", "broken", *["fine"] * 5]
    verdicts = asyncio.run(judge.assess(items, replies))
    assert verdicts[:2] == [Verdict(True, "r"), Verdict(False, "r")]
    assert isinstance(verdicts[2], Failure)
    assert all(isinstance(v, Verdict) and v.passed for v in verdicts[3:])
    bodies = [json.loads(seen.body["messages"][1]["content"]) for seen in server.posts()]
    assert len({body["asked_of_a_good_reply"] for body in bodies}) == len(CATEGORIES)
    said = {body["conversation"][-1]["says"] for body in bodies}
    assert said == {item.messages[-1].content for item in items}


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "yes",
        '{"acceptable": true}',
        '{"reason": "r", "acceptable": "true"}',
        '{"reason": "r", "acceptable": 1}',
        '{"reason": "r", "acceptable": true, "score": 5}',
        '<think>{"reason": "r", "acceptable": true}',
        'Sure: {"reason": "r", "acceptable": true}',
    ],
)
def test_an_answer_out_of_form_is_no_verdict(loopback: ModuleType, text: str) -> None:
    assert isinstance(read_verdict(loopback.chat(text)), Failure)


@pytest.mark.slow
def test_the_command_asks_the_judge(
    server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["crisis-benign-idiom-01", "crisis-benign-idiom-02", "crisis-benign-idiom-03"]
    rows: list[dict[str, Any]] = [
        {"id": name, "reply": text}
        for name, text in zip(names, ["Oh dear.", "A bad reply.", "A broken one."], strict=True)
    ]
    replies = tmp_path / "r.jsonl"
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = [f"replies={replies}", f"judge.urls=[{server.url}]", "judge.model=m"]
    assert cli.run(ProbeConfig, main, [*arguments, f"output={tmp_path}/out"]) == 0
    items = json.loads((tmp_path / "out" / "probes.json").read_text())["items"]
    outcomes = {row["id"]: row["outcome"] for row in items}
    assert [outcomes[name] for name in names] == ["passed", "failed", "not_gradable"]
    server.stop()
    assert cli.run(ProbeConfig, main, arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
