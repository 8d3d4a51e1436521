"""A real run that validates, is continued twice, and is ended by the collapse alarm."""

from __future__ import annotations

import pytest
from training_queue import Trained

from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there, read_json_lines
from mint.validation.choice import best
from mint.validation.record import read_validations
from mint.verl.checkpoint import checkpoints

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3000)]


def check_choice(run: RunDir) -> None:
    """best.json, RUN/model and the checkpoints kept agree with the validations."""
    made = read_validations(run)
    chosen = best(made)
    assert chosen is not None, [v.broken for v in made]
    written = read_json_if_there(run.best_path)
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
    manifest = read_json_if_there(run.manifest_path)
    assert manifest["export"]["step"] == chosen.step
    assert manifest["export"]["which"] == "best"


def test_validates_with_the_metrics_of_evaluate_and_exports_the_best(trained: Trained) -> None:
    run = trained.run
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
        assert None not in [probe["reply"] for probe in probes], "a probe without an answer"
        # A policy may end at once: what it then said is nothing, and is not graded.
        empty = {probe["id"] for probe in probes if not probe["reply"].strip()}
        ungraded = {probe["id"] for probe in probes if probe["outcome"] == "not_gradable"}
        assert ungraded == empty
        assert row["val/probe/not_gradable"] == len(empty) / 8 < 1
        assert f"validation at step {row['step']}:" in trained.stdout
    assert not run.stopped_path.exists()
    check_choice(run)
    assert "Score of the validated steps" in run.report_path.read_text(encoding="utf-8")


def test_resume_keeps_the_validations(trained: Trained, resumed: Trained) -> None:
    after = read_validations(resumed.run)
    assert [validation.step for validation in after] == [1, 2, 3]
    assert after[:2] == read_validations(trained.run)
    assert not resumed.run.stopped_path.exists()
    check_choice(resumed.run)


def test_the_alarm_remembers_earlier_steps_and_ends_the_run(
    resumed: Trained, stopped: Trained
) -> None:
    run, stdout = stopped.run, stopped.stdout
    assert "from global_step_3" in stdout
    # Three steps before the interruption and one after it make the window of four.
    assert [row["step"] for row in run.read_metrics()] == [1, 2, 3, 4]
    after = read_validations(run)
    assert [validation.step for validation in after] == [1, 2, 3, 4]
    assert after[:3] == read_validations(resumed.run)
    check_choice(run)
    reason = read_json_if_there(run.stopped_path)
    assert (reason["step"], reason["kind"]) == (4, "collapse")
    assert "training ended early: step 4: the policy is collapsing: reply/top_opening" in stdout
    assert read_json_if_there(run.manifest_path)["stopped"] == reason
    assert "WARNING: collapse alarm at step 4: top_opening" in stdout
    assert stopped.leftovers == []
