"""During training and after: repeated grading, health, when a run ends, grading again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from grader_configs import DEAD, REPLY, built, judge, lora
from omegaconf import OmegaConf

from mint import regrade
from mint.config.schema import GradingConfig, MintConfig
from mint.rundir.directory import RunDir
from mint.rundir.manifest import RunFacts, start_manifest
from mint.rundir.quarantine import Quarantined, read_quarantine
from mint.shell.files import append_json_lines
from mint.verl.failure_watch import FailureWatch
from mint.verl.grader_health import GraderHealth
from mint.verl.group_reward import step_rewards
from mint.verl.wire import GradedReply
from rewards.build import TaggerConfig, check_servers, probe_servers
from rewards.errors import ConfigError, DataError
from rewards.formula import RewardWeights
from rewards.graders.served.judge import RubricJudge
from rewards.scorer import ScoringRequest
from rewards.types import Failure, Message, Rating, Signals, Status, Tagging

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


def test_one_failed_repeat_fails_the_reply(
    serve: Callable, server: Any, loopback: ModuleType
) -> None:
    def handler(seen: Any) -> Any:
        if seen.method == "POST" and seen.body["seed"] == 1:
            return loopback.Answer(loopback.chat("hm"))
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


def test_health_is_asked_now_and_then(serve: Callable, server: Any, annotations: Path) -> None:
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
    return watch.problem(step, rows, result)


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


@pytest.mark.slow
def test_quarantined_replies_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    append_json_lines(path, [KEPT.as_row()])
    append_json_lines(path, [KEPT._replace(step=5).as_row()])
    assert read_quarantine(path) == [KEPT, KEPT._replace(step=5)]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_regrading_shows_what_still_fails(
    failed_run: RunDir, server: Any, loopback: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fault = lambda seen: (
        loopback.Answer(status=400, body="context too long")
        if seen.method == "POST" and seen.body["model"] == "chat"
        else None
    )
    assert regrade.main(regrade.RegradeSettings(run=str(failed_run.path))) == 1
    shown = capsys.readouterr().out
    assert "0 can be graded now, 2 cannot" in shown
    assert "judge: client_error" in shown
    assert "context too long" in shown


@pytest.mark.slow
def test_regrading_follows_servers_that_moved(
    failed_run: RunDir, serve: Callable, loopback: ModuleType
) -> None:
    moved = serve(loopback.GraderServer()).url
    settings = regrade.RegradeSettings(
        run=str(failed_run.path), tagger_urls=[moved], judge_urls=[moved]
    )
    assert regrade.main(settings) == 0
    with pytest.raises(ConfigError, match="no server answers"):
        regrade.main(regrade.RegradeSettings(run=str(failed_run.path), judge_urls=[DEAD]))
