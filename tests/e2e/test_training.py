"""Real GRPO runs on VERL + Ray + vLLM on the CPU: train, resume, failing graders.

About two minutes a run on two cores. Everything goes through the command a user types.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from mint.rundir.directory import RunDir

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

HERE = Path(__file__).parent
SMALL = ("data.train_batch_size=4", "actor_rollout_ref.rollout.n=4")


def mint_train(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """`python -m mint.train` from `folder`, with the failing graders importable."""
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "mint.train", "+recipe=mint_tiny", *overrides],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def leftovers(folder: Path) -> list[str]:
    """Command lines of processes that still work for runs under `folder`.

    Ray, vLLM and verl processes inherit the run's TENSORBOARD_DIR, whatever they are called.
    """
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        try:
            target = process.environ().get("TENSORBOARD_DIR", "")
        except psutil.Error:
            continue
        if target.startswith(str(folder)) and process.info["status"] != "zombie":
            found.append(" ".join(process.info["cmdline"] or []))
    return found


@pytest.fixture(scope="module")
def trained(workplace: Path) -> tuple[RunDir, subprocess.CompletedProcess[str]]:
    """A finished two-step run with evaluation before and after."""
    path = workplace / "run"
    done = mint_train(
        workplace,
        *SMALL,
        f"mint.run.dir={path}",
        "trainer.total_training_steps=2",
        "trainer.save_freq=2",
        "mint.evaluation.max_prompts=8",
        "mint.evaluation.samples_per_prompt=2",
        "mint.evaluation.resamples=200",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return RunDir.open(path), done


def test_two_real_steps(trained: tuple[RunDir, subprocess.CompletedProcess[str]]) -> None:
    run, done = trained
    rows = run.read_metrics()
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
        assert row["policy/grad_norm"] > 0
        assert 0 < row["reward/quality/mean"] < 1
    assert "step   1/2" in done.stdout
    assert "step   2/2" in done.stdout


def test_run_directory_explains_itself(
    trained: tuple[RunDir, subprocess.CompletedProcess[str]], workplace: Path
) -> None:
    run, _ = trained
    config = yaml.safe_load(run.config_path.read_text())
    assert config["mint"]["reward"]["kl"] == 1.0
    manifest = run.read_json("manifest.json")
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
        result = run.read_json(f"evaluation/{label}.json")
        assert result["num_turns"] == 8
        assert "composite" in result["metrics"]
    comparison = run.read_json("evaluation/comparison.json")
    assert comparison["composite"]["ci_low"] <= comparison["composite"]["ci_high"]
    assert "<svg" in run.report_path.read_text(encoding="utf-8")
    assert leftovers(workplace) == []


def test_merged_model_loads_and_differs_from_the_start(
    trained: tuple[RunDir, subprocess.CompletedProcess[str]], workplace: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run, _ = trained
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


def test_resume_continues_from_the_checkpoint(
    trained: tuple[RunDir, subprocess.CompletedProcess[str]], workplace: Path
) -> None:
    run, _ = trained
    done = mint_train(
        workplace,
        *SMALL,
        f"mint.run.dir={run.path}",
        "mint.run.resume=true",
        "trainer.total_training_steps=3",
        "trainer.save_freq=2",
        "mint.run.evaluate=false",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert "from global_step_2" in done.stdout
    assert rows[-1]["policy/log_prob_pearson"] >= 0.99
    assert (run.checkpoints_path / "global_step_3").is_dir()


def test_some_failed_gradings_are_masked_and_counted(workplace: Path) -> None:
    path = workplace / "flaky"
    done = mint_train(
        workplace,
        *SMALL,
        f"mint.run.dir={path}",
        "trainer.total_training_steps=2",
        "mint.run.evaluate=false",
        "mint.tagger.kind=custom",
        "mint.tagger.factory=faulty_graders:some_fail",
        "mint.grading.max_failed_fraction=0.9",
        "mint.grading.max_lost_fraction=0.9",
        "mint.run.samples_per_step=4",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = RunDir.open(path).read_metrics()
    assert sum(row["grader/num_failed"] for row in rows) > 0
    assert all(math.isfinite(row["policy/grad_norm"]) for row in rows)
    assert all(math.isfinite(row["reward/score/mean"]) for row in rows)
    assert any(row["group/frac_partial"] > 0 for row in rows)
    assert "NOT GRADED" in done.stdout


def test_a_dead_grader_ends_the_run_with_its_reason(workplace: Path) -> None:
    path = workplace / "dead"
    done = mint_train(
        workplace,
        *SMALL,
        f"mint.run.dir={path}",
        "trainer.total_training_steps=2",
        "mint.run.evaluate=false",
        "mint.tagger.kind=custom",
        "mint.tagger.factory=faulty_graders:all_fail",
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "step 1: 100% of the replies could not be graded" in lines[0]
    assert "tagger: timeout: no answer after 20 s" in lines[0]
    run = RunDir.open(path)
    manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert run.read_metrics()[0]["grader/failed_frac"] == 1.0
    assert not run.checkpoints_path.exists() or not list(run.checkpoints_path.iterdir())
    assert leftovers(workplace) == []
