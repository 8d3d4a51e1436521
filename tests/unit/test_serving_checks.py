"""Before and beside training: server checks, identities, repeated grading, stopping, regrading."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from omegaconf import OmegaConf

from mint import compose, recipes, regrade, train
from mint.config import GradingConfig, MintConfig, mint_config
from mint.manifest import RunFacts, require_same_graders, start_manifest
from mint.quarantine import Quarantined, read_quarantine
from mint.runlog import RunDir, append_json_lines
from mint.verl.failure_watch import FailureWatch
from mint.verl.grader_health import GraderHealth
from mint.verl.group_reward import step_rewards
from mint.verl.wire import GradedReply
from rewards.build import (
    EncoderConfig,
    Graders,
    JudgeConfig,
    TaggerConfig,
    build_graders,
    check_servers,
    probe_servers,
)
from rewards.errors import ConfigError, DataError
from rewards.formula import RewardWeights
from rewards.graders.judge_served import RubricJudge
from rewards.graders.lora_format import read_formats
from rewards.graders.tagger_served import LoraTagger
from rewards.scorer import ScoringRequest
from rewards.serving.settings import ServedJudgeConfig, ServedTaggerConfig
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS, Failure, Message, Rating, Reply, Signals, Status, Tagging

FAST = {"retries": 0, "backoff_s": 0.0}
REPLY = Reply(history=(Message("seeker", "It hurts."),), text="I hear you. What happened?")
DEAD = "http://127.0.0.1:9"
"""The discard port, which nothing here listens on."""


def lora(url: str, prompts: Path, **changes: Any) -> TaggerConfig:
    settings = {"urls": [url], "model": "llama", "prompts": str(prompts), **FAST, **changes}
    return TaggerConfig(kind="served_lora", served=ServedTaggerConfig(**settings))


def judge(url: str, kind: str = "served", **changes: Any) -> JudgeConfig:
    settings = {"urls": [url], "model": "chat", **FAST, **changes}
    return JudgeConfig(kind=kind, served=ServedJudgeConfig(**settings))


def built(tagger: TaggerConfig, rater: JudgeConfig) -> Graders:
    return build_graders(EncoderConfig(path="/not/needed"), tagger, rater)


class Server:
    """Ten adapters, a base model and a chat model behind a token, if one is set."""

    def __init__(self, loopback: ModuleType) -> None:
        self.loopback = loopback
        self.models = [*TACTIC_NAMES, "llama", "chat"]
        self.root = "weights"
        self.token: str | None = None
        self.health = 200
        self.noise = iter(range(10**6))

    def __call__(self, seen: Any) -> Any:
        if self.token and seen.headers.get("Authorization") != f"Bearer {self.token}":
            return self.loopback.Answer(status=401, body={"error": "Unauthorized"})
        if seen.path == "/health":
            return self.loopback.Answer(b"", status=self.health)
        if seen.path == "/v1/models":
            return self.loopback.Answer(self.loopback.models(*self.models, root=self.root))
        if seen.body["model"] == "chat":
            ratings = dict.fromkeys(DIMENSIONS, 2 + next(self.noise) % 3)
            return self.loopback.Answer(self.loopback.chat(json.dumps(ratings)))
        score = int(seen.body["model"] == "questioning" and seen.body["seed"] % 2 == 0)
        return self.loopback.Answer(self.loopback.chat(f"<score>{score}</score>"))


@pytest.fixture
def server(loopback: ModuleType) -> Server:
    return Server(loopback)


@pytest.fixture
def url(serve: Callable, server: Server) -> str:
    return serve(server).url


# --- checks before the first step ----------------------------------------------------------------


def test_good_servers_pass_and_name_what_they_serve(url: str, annotations: Path) -> None:
    graders = built(lora(url, annotations), judge(url, revision="abc"))
    check_servers(graders)
    tagger, rater = graders.tagger.identity, graders.judge.identity
    assert (tagger.name, tagger.revision) == ("served_lora:llama", "unpinned")
    assert tagger.details["served_as"]["advice"] == "weights/advice"
    assert len(tagger.details["prompts"]) == 64
    assert (rater.name, rater.revision) == ("served:chat", "abc")
    assert rater.details["served_as"] == {"chat": "weights/chat"}


def test_a_dead_server_is_named(annotations: Path) -> None:
    with pytest.raises(ConfigError, match=f"no server answers at {DEAD}.*mint.tagger.served.urls"):
        check_servers(
            built(lora(DEAD, annotations), JudgeConfig(kind="served", served=judge(DEAD).served))
        )


def test_missing_adapters_are_named(url: str, server: Server, annotations: Path) -> None:
    server.models = [name for name in server.models if name not in ("advice", "reappraisal")]
    with pytest.raises(ConfigError, match=r"does not serve advice, reappraisal; it serves .*llama"):
        check_servers(built(lora(url, annotations), judge(url)))


def test_a_wrong_model_name_lists_the_right_ones(url: str, annotations: Path) -> None:
    graders = built(lora(url, annotations), judge(url, model="chatt"))
    with pytest.raises(ConfigError, match=r"mint.judge.served: .* does not serve chatt.* chat"):
        check_servers(graders)


@pytest.mark.parametrize("given", [None, "wrong"])
def test_a_missing_or_wrong_token_is_told(
    url: str, server: Server, annotations: Path, tmp_path: Path, given: str | None
) -> None:
    server.token = "right"
    changes = {}
    if given:
        (tmp_path / "token").write_text(f"{given}-s3cret")
        changes["token_file"] = str(tmp_path / "token")
    with pytest.raises(ConfigError, match=r"refuses .*set mint.tagger.served.token_file") as error:
        check_servers(built(lora(url, annotations, **changes), judge(url, **changes)))
    assert "s3cret" not in str(error.value)


def test_the_right_token_passes(
    url: str, server: Server, annotations: Path, tmp_path: Path
) -> None:
    server.token = "right"
    (tmp_path / "token").write_text("right\n")
    token = {"token_file": str(tmp_path / "token")}
    check_servers(built(lora(url, annotations, **token), judge(url, **token)))


def test_servers_that_serve_different_weights_are_refused(
    serve: Callable, loopback: ModuleType, annotations: Path
) -> None:
    one, two = Server(loopback), Server(loopback)
    two.root = "other"
    urls = [serve(one).url, serve(two).url]
    config = judge(urls[0], urls=urls)
    with pytest.raises(ConfigError, match=r"must all serve the same models"):
        check_servers(built(lora(urls[0], annotations), config))


def test_what_is_no_model_server_is_told(
    serve: Callable, loopback: ModuleType, annotations: Path
) -> None:
    page = serve(lambda _: loopback.Answer(b"<html>hello</html>"))
    with pytest.raises(ConfigError, match="is no usable server: malformed"):
        check_servers(built(lora(page.url, annotations), judge(page.url)))


def test_a_reward_model_with_sigmoid_is_refused_before_the_run(
    serve: Callable, loopback: ModuleType, annotations: Path
) -> None:
    def handler(seen: Any) -> Any:
        if seen.path == "/v1/models":
            return loopback.Answer(loopback.models("rm", "llama", *TACTIC_NAMES))
        return loopback.Answer({"data": [{"probs": [0.3]}]})

    url = serve(handler).url
    graders = built(lora(url, annotations), judge(url, "reward_model", model="rm"))
    with pytest.raises(ConfigError, match="need raw logits"):
        check_servers(graders)


def test_training_says_it_in_one_line_before_anything_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = train.main(
        [
            "+recipe=mint_tiny",
            "mint.judge.kind=served",
            f"mint.judge.served.urls=[{DEAD}]",
            "mint.judge.served.model=m",
            "--dry-run",
        ]
    )
    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.startswith(f"error: mint.judge.served: no server answers at {DEAD}")
    assert captured.err.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("mint.judge.kind=serve", "mint.judge.kind must be one of embedded, served, reward_model"),
        ("mint.judge.kind=served", "mint.judge.served.urls must be set"),
        ("mint.tagger.kind=served_lora", "mint.tagger.served.urls must be set"),
        ("mint.judge.served.urls=[localhost]", "mint.judge.served.urls must be http://HOST:PORT"),
        ("mint.judge.served.repeats=0", "mint.judge.served.repeats must be >= 1, got 0"),
        ("mint.judge.served.repeat=2", "did you mean 'mint.judge.served.repeats'?"),
        ("mint.tagger.served.unit=word", "mint.tagger.served.unit must be reply or sentence"),
        ("mint.tagger.served.cache=x", "mint.tagger.served.cache needs"),
    ],
)
def test_bad_settings_are_one_line(
    capsys: pytest.CaptureFixture[str], override: str, says: str
) -> None:
    assert train.main(["+recipe=mint_tiny", override, "--dry-run"]) == 2
    text = capsys.readouterr().err
    assert says in text
    assert text.strip().count("\n") == 0


def test_the_served_recipe_is_the_papers_set_up() -> None:
    recipes.register(recipes.find_recipes())
    mint = mint_config(compose.compose_config(["+recipe=mint_4b_served"]))
    assert (mint.tagger.kind, mint.judge.kind) == ("served_lora", "reward_model")
    mint.tagger.served.require("urls", "model")
    mint.judge.served.require("urls", "model")


# --- identity ------------------------------------------------------------------------------------


def test_runs_graded_differently_do_not_compare(
    url: str, server: Server, annotations: Path, tmp_path: Path
) -> None:
    def identities(**changes: Any) -> dict[str, Any]:
        graders = built(lora(url, annotations), judge(url, **changes))
        check_servers(graders)
        return {"tagger": graders.tagger.identity, "judge": graders.judge.identity}

    run = RunDir.create(tmp_path / "run")
    start_manifest(run, RunFacts(command=["x"], graders=identities()))
    require_same_graders(run, identities())
    require_same_graders(run, identities(concurrency=2, retries=3))
    for changes in ({"revision": "b"}, {"temperature": 0.5}, {"expectation": True}, {"repeats": 3}):
        with pytest.raises(ConfigError, match="judge is not the one this run was trained with"):
            require_same_graders(run, identities(**changes))
    server.root = "retrained"
    with pytest.raises(ConfigError, match=r"served_as .*weights.* then, .*retrained.* now"):
        require_same_graders(run, identities())


# --- adapters' format ----------------------------------------------------------------------------


def test_the_released_format_is_read_from_the_users_copy(upstream: Path) -> None:
    formats = read_formats(upstream)
    assert list(formats) == list(TACTIC_NAMES)
    source = upstream / "data/tagger_annotations/val/questioning.jsonl"
    for line in source.read_text(encoding="utf-8").splitlines()[:40]:
        system, user, _ = json.loads(line)["messages"]
        form = formats["questioning"]
        reply, _, sentence = user["content"][
            len(form.before_reply) : -len(form.after_sentence)
        ].partition(form.before_sentence)
        assert form.messages(reply, sentence) == [system, user]
    for folder in ("data/tagger_annotations", "data/tagger_annotations/val"):
        assert read_formats(upstream / folder) == formats


def test_each_adapter_is_asked_in_its_own_words(
    serve: Callable, server: Server, annotations: Path
) -> None:
    started = serve(server)
    (tags,) = asyncio.run(LoraTagger(lora(started.url, annotations).served).tag([REPLY]))
    assert isinstance(tags, Tagging)
    assert [s.tactics for s in tags.sentences] == [("questioning",), ("questioning",)]
    asked = [seen.body for seen in started.posts() if seen.body["model"] == "advice"]
    assert [body["messages"] for body in asked] == [
        [
            {"role": "system", "content": "You know advice."},
            {
                "role": "user",
                "content": f"Look for advice.\nReply:\n{REPLY.text}\n\nSentence:\n{s}\nAnswer:",
            },
        ]
        for s in ("I hear you.", "What happened?")
    ]
    assert asked[0]["logprobs"] is True
    assert asked[0]["structured_outputs"] == {"regex": "<score>[01]</score>"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, r"holds no information\.jsonl"),
        ("not json\n", r"information\.jsonl:1: expected a chat"),
        ('{"messages": []}\n', r"information\.jsonl:1: expected a chat"),
        ("", "must have one system message, found 0"),
    ],
)
def test_a_wrong_copy_is_a_clear_error(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "information.jsonl").write_text(content)
    with pytest.raises(ConfigError, match=says):
        read_formats(tmp_path)


def test_lines_that_are_all_alike_have_no_format(annotations: Path, tmp_path: Path) -> None:
    first = (annotations / "information.jsonl").read_text().splitlines()[0]
    (tmp_path / "information.jsonl").write_text(f"{first}\n{first}\n")
    with pytest.raises(ConfigError, match="the input format cannot be told from its 2 lines"):
        read_formats(tmp_path)


# --- repeated grading ----------------------------------------------------------------------------


def test_repeats_give_the_mean_and_show_the_disagreement(url: str, annotations: Path) -> None:
    graders = built(lora(url, annotations, repeats=4, threshold=0.6), judge(url, repeats=3))
    (tags,) = asyncio.run(graders.tagger.tag([REPLY]))
    assert isinstance(tags, Tagging)
    assert {s.probabilities["questioning"] for s in tags.sentences} == {0.5}
    assert all(s.tactics == () for s in tags.sentences), "the mean decides, not one of the four"
    assert tags.repeat_std == pytest.approx(0.5 / 10)
    (rating,) = asyncio.run(graders.judge.rate([REPLY]))
    assert isinstance(rating, Rating)
    assert rating.dimensions["validating_emotions"] == pytest.approx(3.0)
    assert rating.repeat_std == pytest.approx(0.0), "mirrored dimensions cancel out"


def test_one_failed_repeat_fails_the_reply(serve: Callable, server: Server) -> None:
    def handler(seen: Any) -> Any:
        if seen.method == "POST" and seen.body["seed"] == 1:
            return server.loopback.Answer(server.loopback.chat("hm"))
        return server(seen)

    rater = RubricJudge(judge(serve(handler).url, repeats=3).served)
    (rating,) = asyncio.run(rater.rate([REPLY]))
    assert isinstance(rating, Failure)
    assert rating.kind == "off_schema"


def test_the_spread_reaches_the_metrics() -> None:
    def row(spread: float | None) -> GradedReply:
        signals = Signals(
            status=Status.OK, quality=0.5, kl=1.0, entropy=0.0, bigram=0.0, trigram=0.0
        )
        fixed: Any = ("", "", "c", 0, (0.0,) * 10, (), (), {}, 0.0)
        return GradedReply(signals, *fixed, judge_repeat_std=spread)

    metrics = step_rewards([row(0.2), row(0.4)], ["a", "a"], RewardWeights()).metrics
    assert metrics["grader/judge_repeat_std"] == pytest.approx(0.3)
    assert "grader/tagger_repeat_std" not in metrics


# --- health and limits during the run ------------------------------------------------------------


def test_health_is_asked_now_and_then(serve: Callable, server: Server, annotations: Path) -> None:
    started = serve(server)
    config = MintConfig(
        tagger=lora(started.url, annotations, urls=[started.url, DEAD]), judge=judge(started.url)
    )
    health = GraderHealth(config)
    first = health.metrics()
    assert first["grader/servers_up_frac"] == pytest.approx(2 / 3)
    assert 0 < first["grader/servers_latency_s"] < 4
    asked = len(started.seen)
    assert health.metrics() == first
    assert len(started.seen) == asked, "within the interval nothing is asked"
    server.health = 503
    assert [h.up for h in probe_servers(TaggerConfig(), config.judge)] == [False]
    assert GraderHealth(MintConfig()).metrics() == {}


def _step(watch: FailureWatch, step: int, failed: int, total: int = 100) -> str:
    bad = Signals(
        status=Status.FAILED,
        reason="judge: timeout: 20 s",
        failures={"judge": Failure("timeout", "20 s")},
    )
    good = Signals(status=Status.OK, quality=0.5, kl=1.0, entropy=0.0, bigram=0.0, trigram=0.0)
    fixed: Any = ("", "", "c", 0, (0.0,) * 10, (), (), {}, 0.0)
    rows = [GradedReply(bad if i < failed else good, *fixed) for i in range(total)]
    result = step_rewards(rows, [str(i % 10) for i in range(total)], RewardWeights())
    return watch.problem(step, rows, result.metrics)


def test_a_bad_step_ends_the_run_with_kinds_and_place() -> None:
    watch = FailureWatch(GradingConfig(), "RUN/quarantine.jsonl")
    assert _step(watch, 1, 25) == ""
    problem = _step(watch, 2, 26)
    assert "step 2: 26% of the replies could not be graded" in problem
    assert "timeout 26" in problem
    assert "RUN/quarantine.jsonl" in problem
    assert "mint.grading.max_failed_fraction" in problem


def test_a_slow_leak_ends_the_run_once_the_window_is_full() -> None:
    watch = FailureWatch(GradingConfig(failure_window=4), "RUN/quarantine.jsonl")
    found = [_step(watch, step, failed) for step, failed in enumerate((20, 12, 11, 0, 12, 24), 1)]
    # 43 of 400 is too much; 35 of 400 is not; then 47 of 400 is.
    assert [bool(text) for text in found] == [False, False, False, True, False, True]
    assert "steps 1 to 4: 10.8% of the replies could not be graded, allowed 10.0%" in found[3]
    assert "mint.grading.max_window_failed_fraction" in found[3]


# --- quarantine and regrading --------------------------------------------------------------------

REQUEST = ScoringRequest(
    raw_reply="<think>hm</think>I hear you. What happened?",
    history=(Message("seeker", "Ünïcode ✓"), Message("supporter", "Oh."), Message("seeker", "x")),
    previous_counts=(0.0, 1.0) + (0.0,) * 8,
    history_tactics=((("advice",), ()), (("validation", "questioning"),)),
    num_tokens=12,
    truncated=True,
)
KEPT = Quarantined(
    stage="train",
    step=4,
    uid="u1",
    conversation_id="c9",
    turn=2,
    failures={"judge": Failure("timeout", "60 s")},
    request=REQUEST,
)


def test_quarantined_replies_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    append_json_lines(path, [KEPT.as_row()])
    append_json_lines(path, [KEPT._replace(step=5).as_row()])
    assert read_quarantine(path) == [KEPT, KEPT._replace(step=5)]


def test_bad_quarantine_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist: no reply of this run failed"):
        read_quarantine(tmp_path / "none")
    path = tmp_path / "q.jsonl"
    path.write_text('{"step": 1}\n')
    with pytest.raises(DataError, match=r"q\.jsonl:1: a quarantined reply needs the fields stage"):
        read_quarantine(path)


@pytest.fixture
def failed_run(url: str, annotations: Path, tmp_path: Path) -> RunDir:
    """A run whose graders were served, with two replies in quarantine."""
    run = RunDir.create(tmp_path / "run")
    tagger, rater = lora(url, annotations), judge(url)
    config = OmegaConf.create(
        {"mint": OmegaConf.structured(MintConfig(tagger=tagger, judge=rater))}
    )
    OmegaConf.save(config, run.config_path)
    graders = built(tagger, rater)
    check_servers(graders)
    facts = {"tagger": graders.tagger.identity, "judge": graders.judge.identity}
    start_manifest(run, RunFacts(command=["x"], graders=facts))
    append_json_lines(run.quarantine_path, [KEPT.as_row(), KEPT._replace(step=5).as_row()])
    return run


def test_regrading_shows_what_works_now(
    failed_run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regrade.main(regrade.RegradeSettings(run=str(failed_run.path))) == 0
    shown = capsys.readouterr().out
    assert "2 failed replies, 2 can be graded now, 0 cannot" in shown
    assert "judge: timeout" in shown
    rows = [json.loads(x) for x in (failed_run.path / "regraded.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 5]
    assert rows[0]["status"] == "ok"
    assert rows[0]["quality"] is not None
    assert rows[0]["composite"] is not None


def test_regrading_shows_what_still_fails(
    failed_run: RunDir, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    good = server.__call__

    class Broken(Server):
        def __call__(self, seen: Any) -> Any:
            if seen.method == "POST" and seen.body["model"] == "chat":
                return self.loopback.Answer(status=400, body="context too long")
            return good(seen)

    server.__class__ = Broken
    assert regrade.main(regrade.RegradeSettings(run=str(failed_run.path))) == 1
    shown = capsys.readouterr().out
    assert "0 can be graded now, 2 cannot" in shown
    assert "judge: client_error" in shown
    assert "context too long" in shown


def test_regrading_follows_servers_that_moved(
    failed_run: RunDir, serve: Callable, loopback: ModuleType
) -> None:
    moved = serve(Server(loopback)).url
    settings = regrade.RegradeSettings(
        run=str(failed_run.path), tagger_urls=[moved], judge_urls=[moved]
    )
    assert regrade.main(settings) == 0
    with pytest.raises(ConfigError, match="no server answers"):
        regrade.main(regrade.RegradeSettings(run=str(failed_run.path), judge_urls=[DEAD]))
