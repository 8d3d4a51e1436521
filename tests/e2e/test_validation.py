"""A real run that validates, is continued, and is ended by the collapse alarm.

Two starts of VERL + Ray + vLLM, about a minute and a half each on two cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mint.rundir.directory import RunDir
from mint.shell.files import read_json_lines
from mint.validation.choice import best
from mint.validation.record import read_validations
from mint.verl.checkpoint import checkpoints

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

COMMON = (
    "data.train_batch_size=4",
    "actor_rollout_ref.rollout.n=4",
    "trainer.save_freq=100",
    "trainer.max_actor_ckpt_to_keep=1",
    "mint.run.evaluate=false",
    "mint.evaluation.resamples=200",
    "mint.validation.every_steps=1",
    "mint.validation.max_conversations=4",
    "mint.validation.probes_per_category=1",
    "mint.validation.limits.max_truncated=null",
    "mint.validation.choose={self_stickiness:-1}",
)


def mint_train(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """`python -m mint.train` from `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "mint.train", "+recipe=mint_tiny", *COMMON, *overrides],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def check_choice(run: RunDir) -> None:
    """best.json, RUN/model and the checkpoints kept agree with the validations."""
    made = read_validations(run)
    chosen = best(made)
    assert chosen is not None, [v.broken for v in made]
    written = json.loads(run.best_path.read_text())
    assert written["step"] == chosen.step
    assert written["score"] == max(v.score for v in made if v.admissible and v.score is not None)
    kept = checkpoints(run)
    assert set(kept) == {chosen.step, made[-1].step}
    name = "model.safetensors"
    exported = (run.model_path / name).read_bytes()
    same = {
        step: (folder / "actor/huggingface" / name).read_bytes() == exported
        for step, folder in kept.items()
    }
    assert same == {step: step == chosen.step for step in kept}
    manifest = json.loads(run.manifest_path.read_text())
    assert manifest["export"]["step"] == chosen.step
    assert manifest["export"]["which"] == "best"


@pytest.fixture(scope="module")
def validated(workplace: Path) -> tuple[RunDir, subprocess.CompletedProcess[str]]:
    """Two steps, both validated."""
    path = workplace / "validated"
    done = mint_train(workplace, f"mint.run.dir={path}", "trainer.total_training_steps=2")
    assert done.returncode == 0, done.stdout + done.stderr
    return RunDir.open(path), done


def test_validates_with_the_metrics_of_evaluate_and_exports_the_best(
    validated: tuple[RunDir, subprocess.CompletedProcess[str]],
) -> None:
    run, done = validated
    rows = run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        replies = read_json_lines(run.validation_path / f"step_{row['step']}_replies.jsonl")
        assert row["val/num_replies"] == len(replies) > 4
        assert len({reply["conversation_id"] for reply in replies}) == 4
        assert 1 < row["val/empathy"] < 5
        assert row["val/failed"] == 0
        assert 0 <= row["val/probe/all"] <= 1
        assert row["val/policy_entropy"] == row["policy/entropy"]
        assert row["time/validate_s"] > 0
        assert 0 < row["reply/distinct_2"] <= 1
        probes = read_json_lines(run.validation_path / f"step_{row['step']}_probes.jsonl")
        assert len(probes) == 8
        assert all(probe["reply"] for probe in probes)
        assert f"validation at step {row['step']}:" in done.stdout
    assert not run.stopped_path.exists()
    check_choice(run)
    assert "Score of the validated steps" in run.report_path.read_text(encoding="utf-8")


def test_resume_keeps_the_validations_and_the_alarm_ends_the_run(
    validated: tuple[RunDir, subprocess.CompletedProcess[str]],
) -> None:
    run, _ = validated
    before = read_validations(run)
    done = mint_train(
        run.path.parent,
        f"mint.run.dir={run.path}",
        "mint.run.resume=true",
        "trainer.total_training_steps=50",
        "mint.collapse.action=stop",
        "mint.collapse.max_top_opening=0.0",
        "mint.collapse.window=3",
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "from global_step_2" in done.stdout
    # Two steps before the interruption and one after it make the window of three.
    assert [row["step"] for row in run.read_metrics()] == [1, 2, 3]
    after = read_validations(run)
    assert [validation.step for validation in after] == [1, 2, 3]
    assert after[:2] == before
    check_choice(run)
    stopped = json.loads(run.stopped_path.read_text())
    assert (stopped["step"], stopped["kind"]) == (3, "collapse")
    assert (
        "training ended early: step 3: the policy is collapsing: reply/top_opening" in done.stdout
    )
    assert json.loads(run.manifest_path.read_text())["stopped"] == stopped
    assert "WARNING: collapse alarm at step 3: top_opening" in done.stdout
    assert leftovers(run.path) == []


def leftovers(folder: Path) -> list[str]:
    """Command lines of processes that still work for the run in `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        try:
            target = process.environ().get("TENSORBOARD_DIR", "")
        except psutil.Error:
            continue
        if target.startswith(str(folder)) and process.info["status"] != "zombie":
            found.append(" ".join(process.info["cmdline"] or []))
    return found
