"""Real GRPO runs on VERL + Ray + vLLM on the CPU: train, resume, a dead grader.

Everything goes through the command a user types; tests/e2e/conftest.py has the settings.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from training_queue import Trained

from mint.shell.files import read_json_if_there
from mint.verl.checkpoint import checkpoints
from mint.verl.step_metrics import _VERL_KEYS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3000)]


def test_two_real_steps(trained: Trained) -> None:
    rows = trained.run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert row["group/num"] == 4
        assert row["group/size/min"] == 4
        assert row["grader/num_failed"] == 0
        assert row["policy/log_prob_pearson"] >= 0.99
        for key in (
            "reward/quality/mean",
            "reward/kl/mean",
            "reward/quality_norm/mean",
            "reward/kl_norm/mean",
            "reward/raw/mean",
            "policy/grad_norm",
            "policy/loss",
            "time/generate_s",
            "time/update_s",
            "time/push_s",
            "time/grade_busy_s",
        ):
            assert math.isfinite(row[key]), key
        assert not set(_VERL_KEYS) - {"throughput/mfu", "time/checkpoint_s"} - set(row)
        assert row["memory/trainer_gb"] > 0
        assert "throughput/mfu" not in row
        assert row["policy/skipped_updates"] == 0
        assert row["policy/grad_norm"] > 0
        assert 0 < row["reward/quality/mean"] < 1
    assert "step   1/2" in trained.stdout
    assert "step   2/2" in trained.stdout


def test_run_directory_explains_itself(trained: Trained) -> None:
    run = trained.run
    config = yaml.safe_load(run.config_path.read_text())
    assert config["mint"]["reward"]["kl"] == 1.0
    manifest = read_json_if_there(run.manifest_path)
    assert manifest["status"] == "finished"
    assert manifest["packages"]["verl"] == "0.9.1"
    assert set(manifest["graders"]) == {"tagger", "judge"}
    assert len(manifest["data"]) == 2
    samples = run.read_samples()
    assert {row["rank"] for row in samples} == {"best", "worst"}
    assert all(
        row["reply"] is not None and row["breakdown"]["score"] is not None for row in samples
    )
    assert list(run.tensorboard_path.rglob("events.out.tfevents.*"))
    for label in ("before", "after"):
        result = read_json_if_there(run.path / f"evaluation/{label}.json")
        assert result["num_turns"] == 8
        assert "composite" in result["metrics"]
    comparison = read_json_if_there(run.comparison_path)
    assert comparison["composite"]["ci_low"] <= comparison["composite"]["ci_high"]
    assert "<svg" in run.report_path.read_text(encoding="utf-8")
    assert trained.leftovers == []


def test_merged_model_loads_and_differs_from_the_start(trained: Trained, workplace: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = trained.run
    after = AutoModelForCausalLM.from_pretrained(run.model_path, dtype=torch.float32)
    before = AutoModelForCausalLM.from_pretrained(
        workplace / "outputs/tiny-policy", dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(run.model_path)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=False,
    )
    with torch.no_grad():
        difference = (after(ids).logits - before(ids).logits).abs().max()
    assert 0 < difference < 5


def test_resume_continues_from_the_checkpoint(resumed: Trained) -> None:
    rows = resumed.run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert "from global_step_2" in resumed.stdout
    assert rows[-1]["policy/log_prob_pearson"] >= 0.99
    assert 3 in checkpoints(resumed.run)
    manifest = read_json_if_there(resumed.run.manifest_path)
    first, second = manifest["attempts"]
    assert (first["from_step"], second["from_step"]) == (0, 2)
    assert first["command"] == manifest["command"]
    assert "mint.run.resume" not in manifest["command"]
    assert second["config_diff"]["trainer.total_training_steps"] == [2, 3]
    assert "mint.validation.every_steps" not in second["config_diff"]  # typed again as it was
    assert resumed.leftovers == []


def test_a_dead_grader_ends_the_run_with_its_reason(dead: Trained) -> None:
    lines = [line for line in dead.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "step 1: 100% of the replies could not be graded" in lines[0]
    assert "tagger: timeout: no answer after 20 s" in lines[0]
    assert read_json_if_there(dead.run.manifest_path)["status"] == "failed"
    assert dead.run.read_metrics()[0]["grader/failed_frac"] == 1.0
    assert checkpoints(dead.run) == {}
    assert dead.leftovers == []


def test_lost_replies_are_counted_and_skipped_updates_end_the_run(broken: Trained) -> None:
    rows = broken.run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        lost = row["reply/num_missing"]
        assert lost > 0
        assert row["reply/num"] == 64 - lost
        assert row["grader/failed/missing"] == lost
        assert row["grader/num_failed"] == lost + row["grader/judge_failed"]
        assert row["grader/failed_frac"] == row["grader/num_failed"] / 64
        assert row["group/frac_partial"] > 0
        assert row["policy/grad_norm"] is None
        assert "policy/grad_norm" in row["nonfinite"]
    assert [row["policy/skipped_updates"] for row in rows] == [1, 2]
    assert "WARNING: step 1: the gradient is not a finite number" in broken.stdout
    (line,) = [line for line in broken.stderr.splitlines() if line.startswith("error:")]
    assert "steps 1-2: the gradient is not a finite number" in line
    assert "first error" not in line
    assert read_json_if_there(broken.run.manifest_path)["status"] == "failed"
    assert broken.leftovers == []
