"""Whole evaluations from their settings, against loopback servers and ready replies."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fake_graders import FakeJudge, FakeTagger

from mint.evaluate import main
from mint.evaluation.options import PROTOCOLS, EvaluateSettings
from mint.evaluation.records import read_replies
from mint.evaluation.sources.local import LocalModel
from mint.evaluation.subjects import sessions
from mint.rundir.directory import RunDir
from mint.safety.probes import load_probes
from mint.shell import cli
from mint.shell.files import read_json_lines
from rewards.build import Graders
from rewards.errors import ConfigError, DataError

SEEKER = "Please let me talk about work."


@pytest.fixture
def tagger(monkeypatch) -> FakeTagger:
    made = FakeTagger()
    monkeypatch.setattr(
        "mint.evaluation.subjects.ready_graders", lambda *_: Graders(made, FakeJudge())
    )
    return made


@pytest.fixture
def data(tmp_path) -> Path:
    """Three conversations of two tagged supporter turns."""
    records = []
    for i in range(3):
        tags = [{"sentence": "Why?", "tactics": ["questioning"]}]
        records.append(
            {
                "conversation_id": f"c{i}",
                "conversation": [
                    {"role": "seeker", "content": f"{SEEKER} {i}"},
                    {"role": "supporter", "content": "Why?", "sentence_tactics": tags},
                    {"role": "seeker", "content": "It is too much."},
                    {"role": "supporter", "content": "Why?", "sentence_tactics": tags},
                ],
            }
        )
    path = tmp_path / "data.json"
    path.write_text(json.dumps(records))
    return path


def ready(path: Path, reply=lambda i, t: f"Anyone would be tired, {i} {t}.") -> Path:
    rows = [
        {"conversation_id": f"c{i}", "turn": t, "reply": reply(i, t)}
        for i in range(3)
        for t in range(2)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments: str) -> int:
    return cli.run(EvaluateSettings, main, ["resamples=200", *arguments])


def result(tmp_path, protocol="lend_an_ear"):
    return json.loads((tmp_path / "out" / f"{protocol}.json").read_text())


@pytest.mark.slow
def test_ready_replies_are_graded_once(tmp_path, data, tagger, capsys):
    replies = ready(tmp_path / "r.jsonl", lambda i, t: "<think>hm" if i == 2 else f"Why, {i} {t}?")
    arguments = (f"replies={replies}", f"data={data}", f"output={tmp_path}/out")
    assert run(*arguments) == 0
    assert "lend_an_ear: 4 of 6 replies graded, 3 conversations (2 truncated thinking)" in (
        capsys.readouterr().out
    )
    found = result(tmp_path)
    row = found["conditions"]["lend_an_ear"]
    assert row["counts"]["truncated_thinking"] == 2
    assert row["metrics"]["stickiness"]["mean"] == 1.0
    assert row["metrics"]["self_stickiness"]["mean"] == 1.0
    assert row["metrics"]["habit/questions"]["mean"] == 1.0
    assert found["graders"]["tagger"]["revision"] == "1"
    assert found["data"]["file"] == "data.json"
    kept = read_replies(tmp_path / "out" / "lend_an_ear_replies.jsonl")
    assert {r.turn: r.history for r in kept if r.conversation_id == "c1"} == {
        0: (),
        1: (("seeker", f"{SEEKER} 1"), ("supporter", "Why?")),
    }
    first = (tmp_path / "out" / "lend_an_ear_replies.jsonl").read_text()
    assert tagger.asked == 4
    assert run(*arguments) == 0
    assert tagger.asked == 4
    assert (tmp_path / "out" / "lend_an_ear_replies.jsonl").read_text() == first


@pytest.mark.slow
def test_changed_settings_graders_and_data_are_refused(tmp_path, data, tagger, capsys, monkeypatch):
    replies = ready(tmp_path / "r.jsonl")
    arguments = [f"replies={replies}", f"data={data}", f"output={tmp_path}/out"]
    assert run(*arguments, "limit=1") == 0
    assert run(*arguments) == 0  # more of the same is fine
    for change, name in (("temperature=0.9", "temperature"), ("style=plain", "style")):
        assert run(*arguments, change) == 2
        error = capsys.readouterr().err
        assert name in error
        assert "was begun with" in error
        assert error.count("\n") == 1
    ready(replies, lambda i, t: "Other.")
    assert run(*arguments) == 2
    assert "subject.sha256" in capsys.readouterr().err
    ready(replies)
    other = FakeTagger(revision="2")
    monkeypatch.setattr(
        "mint.evaluation.subjects.ready_graders", lambda *_: Graders(other, FakeJudge())
    )
    assert run(*arguments) == 2
    assert "tagger.revision" in capsys.readouterr().err


def answers(loopback, reply):
    """A chat server that answers with `reply(body)`: text, or an Answer."""

    def handle(seen):
        said = reply(seen.body)
        return said if isinstance(said, loopback.Answer) else loopback.Answer(loopback.chat(said))

    return handle


def endpoint(server, data, tmp_path, *more):
    fast = ("server.backoff_s=0", "server.retries=1")
    return (
        f"endpoint={server.url}/v1",
        "model=m",
        f"data={data}",
        f"output={tmp_path}/out",
        *fast,
        *more,
    )


def test_an_endpoint_is_asked_in_its_own_form(tmp_path, data, tagger, serve, loopback):
    server = serve(answers(loopback, lambda body: "<think>hm</think>Why is that?"))
    more = ("protocol=lend_an_ear", "style=plain", "thinking=true", "max_new_tokens=99")
    assert run(*endpoint(server, data, tmp_path, *more)) == 0
    assert len(server.posts()) == 6
    assert {seen.path for seen in server.posts()} == {"/v1/chat/completions"}
    body = server.posts()[0].body
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.7, 99)
    assert body["chat_template_kwargs"] == {"enable_thinking": True}
    assert body["messages"][0]["role"] == "system"
    assert len({seen.body["seed"] for seen in server.posts()}) == 6
    rows = read_json_lines(tmp_path / "out" / "lend_an_ear_replies.jsonl")
    assert {row["reply"] for row in rows} == {"Why is that?"}
    assert result(tmp_path)["subject"] == {"kind": "endpoint", "model": "m", "revision": ""}


@pytest.mark.slow
def test_failed_requests_are_counted_and_asked_again_alone(tmp_path, data, tagger, serve, loopback):
    broken = {"status": 500}

    def reply(body):
        if f"{SEEKER} 1" in body["messages"][1]["content"]:
            return loopback.Answer({"error": "x"}, status=broken["status"])
        if len(body["messages"]) > 2:
            return loopback.Answer(loopback.chat("Why that?", finish_reason="length"))
        return "Why that?"

    server = serve(answers(loopback, reply))
    arguments = endpoint(server, data, tmp_path, "protocol=lend_an_ear", "vllm_options=false")
    assert run(*arguments) == 0
    assert "chat_template_kwargs" not in server.posts()[0].body
    assert len(server.posts()) == 4 + 2 * 2  # each failure was tried once more
    counts = result(tmp_path)["conditions"]["lend_an_ear"]["counts"]
    assert (counts["asked"], counts["unanswered"], counts["graded"]) == (6, 2, 4)
    assert counts["truncated"] == 2
    lost = read_json_lines(tmp_path / "out" / "lend_an_ear_unusable.jsonl")
    assert {row["conversation_id"] for row in lost} == {"c1"}
    assert all(row["reason"].startswith("server_error") for row in lost)
    before = len(server.posts())
    broken["status"] = 404
    assert run(*arguments) == 0
    assert len(server.posts()) == before + 2  # not tried again: not a fault of transport
    broken["status"] = 200
    server.handler = answers(loopback, lambda body: "Why that?")
    assert run(*arguments) == 0
    assert len(server.posts()) == before + 4
    assert result(tmp_path)["conditions"]["lend_an_ear"]["counts"]["unanswered"] == 0
    assert not (tmp_path / "out" / "lend_an_ear_unusable.jsonl").exists()


def test_a_dead_endpoint_is_one_line(tmp_path, data, tagger, serve, loopback, capsys):
    server = serve(answers(loopback, lambda body: loopback.Answer({}, status=401)))
    assert run(*endpoint(server, data, tmp_path, "protocol=lend_an_ear")) == 1
    error = capsys.readouterr().err
    assert "none of 6 prompts was answered; the first: unauthorized" in error
    assert error.count("error:") == 1


@pytest.mark.slow
def test_unparsable_candidates_are_never_scored(tmp_path, data, tagger, serve, loopback):
    good = json.dumps({"responses": [{"text": f"Why, {i}?", "probability": 0.5} for i in range(2)]})

    def reply(body):
        if "single JSON object" not in body["messages"][0]["content"]:
            return "Plain reply."
        return "Sorry, here is one: Why?" if "too much" in body["messages"][-1]["content"] else good

    server = serve(answers(loopback, reply))
    conditions = "conditions=plain,verbalized_plain"
    more = ("protocol=baselines", conditions, "candidates=2", "max_new_tokens=50")
    assert run(*endpoint(server, data, tmp_path, *more)) == 0
    rows = result(tmp_path, "baselines")["conditions"]
    assert rows["baselines_plain"]["counts"]["graded"] == 6
    verbalized = rows["baselines_verbalized_plain"]
    assert (verbalized["counts"]["graded"], verbalized["counts"]["parse_failed"]) == (3, 3)
    assert verbalized["metrics"]["parse_failed"]["mean"] == 0.5
    assert verbalized["parse_failure_kinds"] == {"no_json": 3}
    scored = read_json_lines(tmp_path / "out" / "baselines_verbalized_plain_replies.jsonl")
    assert {row["reply"] for row in scored} <= {"Why, 0?", "Why, 1?"}
    lost = read_json_lines(tmp_path / "out" / "baselines_verbalized_plain_unusable.jsonl")
    assert {row["raw"] for row in lost} == {"Sorry, here is one: Why?"}
    asked = [seen.body for seen in server.posts() if "response_format" in seen.body]
    assert len(asked) == 6
    assert {body["max_tokens"] for body in asked} == {100}


@pytest.mark.slow
def test_a_served_seeker_plays_the_scenario(tmp_path, tagger, serve, loopback):
    told = iter("abcdefghij")

    def reply(body):
        asked = body["messages"][0]["content"]
        if asked.startswith("You work out"):
            texts = dict.fromkeys(("content", "target", "activity", "analyse"), "warm")
            return json.dumps({**texts, "change": 3})
        if asked.startswith("You write the next"):
            return json.dumps({"thinking": "", "response": f"My line {next(told)}."})
        return "I see. Why?"

    server = serve(answers(loopback, reply))
    assert (
        run(
            f"endpoint={server.url}",
            "model=m",
            "protocol=free_running",
            f"output={tmp_path}/out",
            "seeker=served",
            f"seeker_endpoint.urls=[{server.url}]",
            "seeker_endpoint.model=person",
            "turns=3",
            "dialogues=2",
        )
        == 0
    )
    played = [seen.body for seen in server.posts() if seen.body["model"] == "person"]
    assert len(played) == 2 * 3 * 2  # an analysis and a line for each reply; the opening is given
    found = result(tmp_path, "free_running")
    assert found["seeker"]["kind"] == "served"
    assert len(found["seeker"]["prompts"]) == 64
    assert found["conditions"]["free_running"]["emotion_at_the_end"] == 49
    assert found["conditions"]["free_running"]["metrics"]["self_stickiness"]["mean"] == 1.0
    assert found["conditions"]["free_running"]["always_on"] == ["validation", "questioning"]


@pytest.mark.slow
def test_probes_are_reported_and_close_the_gate(tmp_path, tagger, capsys):
    rows = [
        {"conversation_id": item.id, "turn": sum(m.role == "supporter" for m in item.messages)}
        for item in load_probes()
    ]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps({**row, "reply": "Yes, do it."}) + "\n" for row in rows))
    arguments = (f"replies={path}", "protocol=probes", f"output={tmp_path}/out")
    assert run(*arguments) == 0
    assert run(*arguments, "gate=true") == 3
    output = capsys.readouterr()
    assert "gate: the safety probes exceed their limits" in output.err
    assert "crisis" in output.out
    found = result(tmp_path, "probes")
    assert found["broken_limits"]
    assert found["report"]["total"]["num"] == len(rows)
    assert found["report"]["harm_allowed"] is None  # these graders have no harm part
    open_gate = [f"safety.{name}=0" for name in found["report"]["categories"]]
    assert run(*arguments, "gate=true", *open_gate) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give exactly one of run=DIR"),
        (("model=a", "run=b"), "got run=b, model=a"),
        (("endpoint=http://127.0.0.1:1", "replies=x"), "give exactly one of"),
        (("model=a", "protocol=lend_an_eye"), "got 'lend_an_eye'"),
        (("replies=a", "protocol=free_running", "output=o"), "cannot be evaluated by free_running"),
        (("model=a", "protocol=held_out"), "got 'held_out'"),
        (("model=./nowhere", "output=o"), "is not a model folder"),
        (("model=a/b",), "output=DIR is needed"),
        (("endpoint=http://127.0.0.1:1", "output=o", "protocol=probes"), "needs model=NAME"),
        (("model=a", "turns=99"), r"turns must be in 1\.\.30, got 99"),
        (("model=a", "temperature=0", "samples=2"), "samples must be 1"),
        (("model=a", "style=loud", "output=o"), "style must be one of plain"),
        (("model=a", "temprature=1"), "did you mean 'temperature'"),
    ],
)
def test_bad_settings_are_one_clear_line(arguments, message, tagger, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text("{}")
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1


def test_fixed_histories_need_data(tmp_path, tagger, serve, loopback):
    server = serve(answers(loopback, lambda body: "x"))
    settings = cli.parse(
        EvaluateSettings,
        [f"endpoint={server.url}", "model=m", f"output={tmp_path}", "protocol=lend_an_ear"],
    )
    with pytest.raises(ConfigError, match="lend_an_ear needs data=FILE"):
        main(settings)


def test_ready_replies_that_lack_a_turn_name_it(tmp_path, data, tagger, capsys):
    path = ready(tmp_path / "r.jsonl")
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    assert run(f"replies={path}", f"data={data}", f"output={tmp_path}/out") == 2
    assert "lacks 1 of 6 replies; the first is conversation_id 'c2', turn 1" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_runs_own_settings_are_used(tmp_path, tagger):
    run_dir = RunDir.create(tmp_path / "run")
    start = tmp_path / "start"
    for folder in (start, run_dir.model_path):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    config = {
        "mint": {
            "evaluation": {"max_new_tokens": 33, "enable_thinking": True},
            "data": {"style": "tactics", "compact": True, "train_file": "t", "val_file": "v"},
            "reward": {"kl": 2.0},
        },
        "actor_rollout_ref": {"model": {"path": str(start)}},
        "data": {"val_files": str(tmp_path / "val.parquet")},
    }
    run_dir.config_path.write_text(json.dumps(config))
    settings = EvaluateSettings(run=str(run_dir.path), which="both", protocol="all")
    before, after = sessions(settings)
    assert isinstance(before.source, LocalModel)
    assert before.output == run_dir.evaluation_path / "before"
    assert after.output == run_dir.evaluation_path / "after"
    assert (after.sampling.max_new_tokens, after.sampling.thinking) == (33, True)
    assert (after.prompts.style, after.prompts.compact) == ("tactics", True)
    assert after.weights.kl == 2.0
    assert after.data == tmp_path / "val.parquet"
    assert settings.protocols == PROTOCOLS
    assert EvaluateSettings(run="x").protocols == ("held_out",)


@pytest.mark.slow
def test_a_broken_replies_file_is_refused_before_grading(tmp_path, data, tagger):
    path = tmp_path / "r.jsonl"
    path.write_text('{"conversation_id": "c0"}\n')
    settings = EvaluateSettings(replies=str(path), data=str(data), output=str(tmp_path / "o"))
    with pytest.raises(DataError, match=r"r\.jsonl:1"):
        main(settings)
    assert tagger.asked == 0
