"""Work that depends on graders' servers: one is killed in the middle of a step; a training run."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from grader_servers import Serving
from training_queue import Trained

from mint.rundir.quarantine import read_quarantine
from mint.shell.files import read_json_if_there
from rewards.build import (
    EncoderConfig,
    Graders,
    JudgeConfig,
    TaggerConfig,
    build_graders,
    check_servers,
)
from rewards.formula import RewardWeights, group_rewards
from rewards.scorer import ReplyScorer, ScoringRequest
from rewards.serving.settings import ServedJudgeConfig
from rewards.tactics import TACTIC_NAMES
from rewards.types import Message, Signals, Status

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3000)]

HISTORY = (Message("seeker", "I lost my job last week."),)


def reward_config(url: str, models: Path, **settings: Any) -> ServedJudgeConfig:
    return ServedJudgeConfig(
        urls=[url], model="tiny-reward", token_file=str(models / "token"), **settings
    )


def requests_in_groups(num_groups: int, size: int) -> list[ScoringRequest]:
    """Sibling k of every group, then sibling k + 1: a death in the middle splits all groups."""
    return [
        ScoringRequest(
            raw_reply=f"That sounds hard, number {group}. What would help you {sibling} times?",
            history=HISTORY,
            previous_counts=(0.0,) * len(TACTIC_NAMES),
            history_tactics=(),
            num_tokens=20,
            truncated=False,
        )
        for sibling in range(size)
        for group in range(num_groups)
    ]


def test_a_server_killed_in_the_middle_of_a_step(
    breakable: dict[str, Serving], models: Path
) -> None:
    num_groups, size = 40, 8
    requests = requests_in_groups(num_groups, size)
    server = breakable["reward_model"]
    before = server.facts
    hasty = graders(reward_config(server.url, models, concurrency=4, retries=0))
    patience = {"retries": 200, "backoff_s": 1.0, "backoff_cap_s": 5.0}
    patient = graders(reward_config(server.url, models, concurrency=4, **patience))
    check_servers(hasty)
    check_servers(patient)

    async def step() -> tuple[list[Signals], list[Signals]]:
        both = asyncio.gather(
            ReplyScorer(hasty.tagger, hasty.judge).score(requests),
            ReplyScorer(patient.tagger, patient.judge).score(requests),
        )
        counts = hasty.judge.client.counts  # type: ignore[attr-defined]
        asked = counts["sent"]
        while counts["sent"] - asked < 5.5 * num_groups:
            await asyncio.sleep(0.005)
        os.kill(before["pid"], signal.SIGKILL)
        return tuple(await both)  # type: ignore[return-value]

    broken, whole = asyncio.run(step())

    assert len(broken) == len(whole) == len(requests), "nothing is lost"
    assert all(s.status is Status.OK for s in whole), "retries outlast the restart"
    failed = [s for s in broken if s.status is Status.FAILED]
    assert len(failed) >= num_groups
    for signals in failed:
        assert signals.quality is None, "a failure is no number"
        assert signals.reason.startswith("judge: ")
    kinds = {s.reason.split(": ")[1] for s in failed}
    assert kinds <= {"connection", "circuit_open", "timeout", "server_error"}, kinds
    for signals, same in zip(broken, whole, strict=True):
        if signals.status is Status.OK:
            assert signals.quality == pytest.approx(same.quality, abs=2e-3), "before and after"
    check_groups(broken, num_groups)

    after = server.wait_ready(other_than=before["pid"])
    assert after["url"] == before["url"]
    assert after["revision"] == before["revision"]
    printed = server.output.read_text()
    assert "reward_model died: signal 9 ended it" in printed
    assert "(2 further restarts left)" in printed


def check_groups(signals: list[Signals], num_groups: int) -> None:
    """Failed members of a group are masked; the others are rewarded as if alone."""
    weights = RewardWeights()
    partial = 0
    for group in range(num_groups):
        members = signals[group::num_groups]
        graded = [s for s in members if s.status is Status.OK]
        result = group_rewards(members, weights)
        if result.lost:
            assert set(result.scores) == {0.0}
            continue
        alone = group_rewards(graded, weights)
        scores = iter(alone.scores)
        mean = sum(alone.scores) / len(alone.scores)
        partial += result.partial
        for member, score in zip(members, result.scores, strict=True):
            expected = next(scores) if member.status is Status.OK else mean
            assert score == pytest.approx(expected, abs=1e-9)
        assert sum(result.scores) / len(members) == pytest.approx(mean)
    assert partial > num_groups // 2


def graders(judge: ServedJudgeConfig) -> Graders:
    """The embedded tagger and the served reward model."""
    return build_graders(
        EncoderConfig(), TaggerConfig(), JudgeConfig(kind="reward_model", served=judge)
    )


# Training with served graders


def test_training_steps_with_served_graders(
    served: Trained, servers: dict[str, Serving], models: Path
) -> None:
    tagger, judge = servers["tagger"].facts, servers["reward_model"].facts
    run = served.run
    rows = run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2, 3]
    for row in rows[:2]:
        assert row["group/num"] == 2
        assert row["group/size/min"] == 4
        assert row["grader/num_failed"] == 0
        assert row["group/frac_lost"] == 0
        for key in ("reward/quality/mean", "reward/kl/mean", "policy/grad_norm"):
            assert math.isfinite(row[key]), key
    identities = read_json_if_there(run.manifest_path)["graders"]
    assert identities["tagger"]["name"] == "served_lora:tagger-base"
    assert identities["tagger"]["revision"] == tagger["revision"]
    assert identities["judge"]["name"] == "reward_model:tiny-reward"
    assert identities["judge"]["revision"] == judge["revision"]
    served_as = identities["tagger"]["details"]["served_as"]
    assert set(served_as) == {"tagger-base", *TACTIC_NAMES}
    samples = run.read_samples()
    assert {row["rank"] for row in samples} == {"best", "worst"}
    assert served.leftovers == []


def test_the_run_begins_with_the_fine_tuned_model(tuned: Trained, served: Trained) -> None:
    """The model merged from LoRA, by its own prompts: rollout and trainer agree on its tokens."""
    from safetensors.torch import load_file

    manifest = read_json_if_there(tuned.run.manifest_path)
    assert manifest["status"] == "finished"
    assert (tuned.run.path / "heads/heads.safetensors").exists()
    config = served.run.read_config()
    assert Path(config.actor_rollout_ref.model.path).name == "model"
    assert Path(config.actor_rollout_ref.model.path).parent.name == "tuned"
    for row in served.run.read_metrics():
        assert row["policy/log_prob_pearson"] > 0.99
    templates = [
        (run.model_path / "chat_template.jinja").read_text() for run in (tuned.run, served.run)
    ]
    assert templates[0] == templates[1]
    before, after = (
        load_file(run.model_path / "model.safetensors") for run in (tuned.run, served.run)
    )
    assert before.keys() == after.keys()
    assert any(not (before[name] == after[name]).all() for name in before)


def test_some_failed_gradings_are_masked_and_counted(served: Trained) -> None:
    """The judge's server refuses every third reply of the third step."""
    row = served.run.read_metrics()[2]
    assert 0 < row["grader/num_failed"] < 8
    assert row["group/frac_partial"] > 0
    assert math.isfinite(row["policy/grad_norm"])
    assert math.isfinite(row["reward/score/mean"])
    assert "NOT GRADED" in served.stdout
    kept = read_quarantine(served.run.quarantine_path)
    assert len(kept) == row["grader/num_failed"]
    assert {q.failures["judge"].kind for q in kept} == {"client_error"}


def test_the_servers_end_with_their_commands(served: Trained, servers: dict[str, Serving]) -> None:
    for name in ("tagger", "reward_model"):
        family = servers[name].family()
        assert servers[name].stop() == 0
        left = [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        assert left == [], name
