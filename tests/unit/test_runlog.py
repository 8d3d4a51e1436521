from __future__ import annotations

import json
import math
import multiprocessing
import pickle

import numpy as np
import pytest

from mint.rundir.directory import RunDir
from mint.rundir.manifest import (
    RunFacts,
    finish_manifest,
    git_state,
    identity_row,
    read_manifest,
    resume_manifest,
    start_manifest,
)
from mint.shell.files import read_json_if_there, sha256_file, write_json, write_text_atomic
from rewards.errors import ConfigError, DataError
from rewards.types import GraderIdentity


@pytest.fixture
def run(tmp_path):
    return RunDir.create(tmp_path / "run")


def test_create_refuses_a_used_directory(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_text("x")
    with pytest.raises(ConfigError, match="already exists"):
        RunDir.create(tmp_path / "old")


def test_create_takes_an_empty_directory(tmp_path):
    assert RunDir.create(tmp_path).evaluation_path.is_dir()


def test_open_wants_a_run_directory(tmp_path, run):
    with pytest.raises(ConfigError, match="does not exist"):
        RunDir.open(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="not a run directory"):
        RunDir.open(run.path)
    run.append_metrics(1, {"a": 1})
    assert RunDir.open(run.path) == run


def test_a_run_directory_can_be_sent_to_another_process(run):
    assert pickle.loads(pickle.dumps(run)) == run


def test_metrics_round_trip_with_numpy_values(run):
    run.append_metrics(1, {"reward/score/mean": np.float32(0.5), "policy/lr": 1e-6, "n": 3})
    (row,) = run.read_metrics()
    assert (row["step"], row["reward/score/mean"], row["policy/lr"], row["n"]) == (1, 0.5, 1e-6, 3)
    assert row["time"].endswith("+00:00")


def test_nonfinite_metrics_are_null_and_named(run):
    run.append_metrics(3, {"a": math.nan, "b": math.inf, "c": 1.0, "d": np.float32("nan")})
    text = run.metrics_path.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    (row,) = run.read_metrics()
    assert row["a"] is None
    assert row["b"] is None
    assert row["c"] == 1.0
    assert row["nonfinite"] == ["a", "b", "d"]


def test_a_metric_that_is_no_number_is_refused(run):
    with pytest.raises(DataError, match="metric 'a' must be a number, got str"):
        run.append_metrics(1, {"a": "high"})


def test_a_step_logged_again_after_a_resume_keeps_the_later_values(run):
    for step, value in [(1, 0.1), (2, 0.2), (3, 0.3), (2, 0.9)]:
        run.append_metrics(step, {"a": value})
    run.append_metrics(2, {"b": 7.0})
    rows = run.read_metrics()
    assert [(row["step"], row["a"]) for row in rows] == [(1, 0.1), (2, 0.9), (3, 0.3)]
    assert rows[1]["b"] == 7.0


def test_a_half_written_last_row_is_left_out_and_a_broken_one_is_an_error(run):
    run.append_metrics(1, {"a": 1.0})
    with run.metrics_path.open("a") as file:
        file.write('{"step": 2, "a"')
    assert [row["step"] for row in run.read_metrics()] == [1]
    with run.metrics_path.open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl:2:"):
        run.read_metrics()


def test_samples_keep_text_and_order(run):
    run.append_samples([{"reply": "Größe <b>\n"}, {"reply": "second", "counts": (1, 2)}])
    run.append_samples([{"reply": "third"}])
    assert [row["reply"] for row in run.read_samples()] == ["Größe <b>\n", "second", "third"]
    assert run.read_samples()[1]["counts"] == [1, 2]


def test_missing_files_read_as_nothing(run):
    assert run.read_metrics() == []
    assert run.read_samples() == []
    assert read_json_if_there(run.before_path) is None


def _append_rows(run, worker):
    for i in range(50):
        run.append_samples([{"worker": worker, "i": i, "text": "x" * 5000}])


def test_rows_of_several_processes_do_not_mix(run):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_rows, args=(run, w)) for w in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rows = run.read_samples()
    assert len(rows) == 150
    expected = {(w, i) for w in range(3) for i in range(50)}
    assert {(row["worker"], row["i"]) for row in rows} == expected


def test_json_is_written_at_once_and_leaves_no_temporary_file(run):
    path = write_json(run.before_path, {"mean": math.nan, "n": np.int64(3)})
    assert json.loads(path.read_text()) == {"mean": None, "n": 3}
    write_json(run.before_path, {"n": 4})
    assert read_json_if_there(run.before_path) == {"n": 4}
    assert [p.name for p in path.parent.iterdir()] == ["before.json"]


def test_a_failed_write_keeps_the_old_file(run):
    path = write_json(run.path / "a.json", {"n": 1})
    with pytest.raises(UnicodeEncodeError):
        write_text_atomic(path, "\ud800")
    assert read_json_if_there(run.path / "a.json") == {"n": 1}
    assert list(run.path.glob(".*tmp")) == []


def test_broken_json_names_file_and_line(run):
    (run.path / "a.json").write_text('{"a": 1,\n oops}')
    with pytest.raises(DataError, match=r"a\.json:2:2"):
        read_json_if_there(run.path / "a.json")


def test_manifest_tells_what_produced_the_run(run, tmp_path):
    data = tmp_path / "train.parquet"
    data.write_bytes(b"abc")
    tagger = GraderIdentity(kind="embedded", name="minilm", revision="r1", details={"k": (1, 2)})
    start_manifest(
        run,
        RunFacts(
            command=["python", "-m", "mint.train", "a=b c"],
            seeds={"data": 7},
            data_files=[data],
            graders={"tagger": tagger},
            recipe="mint_tiny",
        ),
    )
    manifest = read_manifest(run)
    assert manifest["status"] == "running"
    assert manifest["finished"] is None
    assert manifest["command"] == "python -m mint.train 'a=b c'"
    assert manifest["packages"]["numpy"] == np.__version__
    assert manifest["seeds"] == {"data": 7}
    assert manifest["data"] == {
        str(data): "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
    assert manifest["graders"]["tagger"] == identity_row(tagger)
    assert RunDir.open(run.path) == run


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (None, "finished", None),
        (DataError("bad row"), "failed", "DataError: bad row"),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt"),
        ("exit status 1", "failed", "exit status 1"),
    ],
)
def test_manifest_records_how_the_run_ended(run, error, status, text):
    start_manifest(run, RunFacts(command=["x"]))
    finish_manifest(run, error)
    manifest = read_manifest(run)
    assert (manifest["status"], manifest["error"]) == (status, text)
    assert manifest["finished"] >= manifest["started"]


def test_manifest_errors_are_clear(run, tmp_path):
    with pytest.raises(ConfigError, match="manifest"):
        finish_manifest(run)
    with pytest.raises(ConfigError, match="cannot be read"):
        sha256_file(tmp_path / "none")


def test_a_folder_outside_git_has_no_revision(tmp_path):
    (tmp_path / "__init__.py").write_text("")
    assert git_state(tmp_path) is None


@pytest.mark.slow
def test_what_the_first_start_recorded_is_never_written_over(run):
    first = start_manifest(run, RunFacts(command=["train", "kl=0.5"], recipe="mint_tiny"))
    resume_manifest(run, ["train", "resume=R"], from_step=12, config_diff={"a.b": (1, 2)})
    manifest = read_manifest(run)
    assert {k: v for k, v in manifest.items() if k != "attempts"} == {
        k: v for k, v in first.items() if k != "attempts"
    }
    one, two = manifest["attempts"]
    assert (one["command"], one["from_step"], one["ended"]) == ("train kl=0.5", 0, None)
    assert one["error"] == "ended without a word: killed, or the machine was lost"
    assert (two["command"], two["from_step"]) == ("train resume=R", 12)
    assert (two["config_diff"], two["error"]) == ({"a.b": [1, 2]}, None)
    finish_manifest(run, DataError("bad row"))
    resume_manifest(run, ["train"], from_step=20, config_diff={})
    assert read_manifest(run)["status"] == "running"
    finish_manifest(run)
    manifest = read_manifest(run)
    ends = [(attempt["from_step"], attempt["error"]) for attempt in manifest["attempts"][1:]]
    assert ends == [(12, "DataError: bad row"), (20, None)]
    assert all(attempt["ended"] for attempt in manifest["attempts"][1:])
    assert (manifest["started"], manifest["status"]) == (first["started"], "finished")


@pytest.mark.slow
def test_a_manifest_without_attempts_counts_as_one(run):
    start_manifest(run, RunFacts(command=["x"]))
    finish_manifest(run)
    old = {k: v for k, v in read_manifest(run).items() if k != "attempts"}
    write_json(run.manifest_path, old)
    resume_manifest(run, ["y"], from_step=3, config_diff={})
    one, two = read_manifest(run)["attempts"]
    assert (one["command"], one["started"], one["ended"], one["error"]) == (
        "x",
        old["started"],
        old["finished"],
        None,
    )
    assert two["from_step"] == 3
