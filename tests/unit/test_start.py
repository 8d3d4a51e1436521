"""The start of a run: its phases on the console, in the manifest, with limits of their own; the
request to save and end."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from mint.rundir.directory import RunDir
from mint.rundir.manifest import read_manifest
from mint.shell.files import append_json_lines, write_json
from mint.shell.processes import TrainingError
from mint.shell.tail import JsonLinesTail
from mint.training.graphs import fill_graph_sizes
from mint.training.start import Start
from mint.training.supervise import Limits, supervise
from mint.verl import requests, step_record
from mint.verl.phases import PHASES, VERL_LOGGER, NotedStart, note
from mint.verl.requests import SavesOnRequest
from mint.verl.step_record import KeepsStepMetrics, restore_row


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir.create(tmp_path / "run")
    write_json(run.manifest_path, {"status": "running"})
    return run


def test_every_phase_has_its_line_and_its_time(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    start = Start(run)
    assert not start.report()
    began = time.time()
    for number, name in enumerate(list(PHASES)[:-1], start=1):
        append_json_lines(run.start_path, [{"phase": name, "at": began + 10 * number}])
    assert start.report()
    start.finish()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "10.0 s  verl imported"
    assert lines[7].strip() == "10.0 s  vLLM up"
    assert len(lines) == len(PHASES) + 1
    assert lines[-1].startswith("start took")
    seconds = read_manifest(run)["start_s"]
    assert list(seconds) == list(PHASES)
    assert seconds["ray"] == pytest.approx(10, abs=0.2)


@pytest.mark.slow
def test_a_phase_that_stands_still_is_named(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PHASES, "queue", PHASES["queue"]._replace(share=0.05))
    body = (
        "import json, time\n"
        f"f = open({str(run.start_path)!r}, 'a', buffering=1)\n"
        "for name in ('python', 'ray'):\n"
        "    f.write(json.dumps({'phase': name, 'at': time.time()}) + '\\n')\n"
        "time.sleep(600)"
    )
    with pytest.raises(TrainingError, match=r"no first step .* 2 s \(waiting for: transfer queue"):
        supervise(
            run, [sys.executable, "-c", body], {}, Limits(start_s=40, step_s=99), lambda row: None
        )


def test_each_phase_has_the_time_again(run: RunDir) -> None:
    start = Start(run)
    note(run, "python")
    note(run, "ray")
    start.report()
    assert start.stuck(299, 900, 3600) == ""
    assert "300 s (waiting for: transfer queue up)" in start.stuck(301, 900, 3600)
    note(run, "queue")
    start.report()
    assert "300 s (waiting for: prompts read" in start.stuck(301, 900, 3600)
    for name in ("data", "workers"):
        note(run, name)
    start.report()
    assert start.stuck(899, 900, 3600) == "", "loading a large policy may take the whole limit"
    assert "900 s (waiting for: policy and" in start.stuck(901, 900, 3600)
    for name in ("model", "graders", "rollout", "checkpoint", "weights"):
        note(run, name)
    start.report()
    assert start.stuck(3599, 900, 3600) == "", "the first replies are a part of a step"
    assert "3600 s (waiting for: first replies" in start.stuck(3601, 900, 3600)


class Verl:
    """The parts of verl's trainer that the two bases build on."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._saved_step = 0
        self.global_steps = 1
        self.total_training_steps = 4
        self.timing_raw: dict[str, Any] = {}
        self.saved: list[int] = []
        self.pushed: list[int] = []

    def init(self) -> None:
        self._init_dataloader()
        logger = logging.getLogger(VERL_LOGGER)
        logger.info("worker group kwargs: {}")
        logger.info("create worker group dict_keys(['actor'])")
        logger.info("actor and ref model engine initialized")
        logger.info("reward loop manager initialized")
        logger.info("checkpoint engine manager initialized")
        self._load_checkpoint()
        self.on_init_end()

    def _init_dataloader(self) -> None: ...

    def _load_checkpoint(self) -> None: ...

    def on_init_end(self) -> None: ...

    def on_sample_end(self) -> None: ...

    def on_step_end(self) -> None:
        self.pushed.append(self.global_steps)

    def _save_checkpoint(self) -> None:
        self._saved_step = self.global_steps
        self.saved.append(self.global_steps)

    def fit(self) -> list[int]:
        """verl's loop: the steps done."""
        done = []
        while self.global_steps <= self.total_training_steps:
            self.on_sample_end()
            self.on_step_end()
            done.append(self.global_steps)
            self.global_steps += 1
        return done


class Trainer(NotedStart, SavesOnRequest, Verl):
    pass


def test_a_trainer_notes_all_phases_once(run: RunDir) -> None:
    tail = JsonLinesTail(run.start_path)
    trainer = Trainer(run)
    trainer.init()
    trainer.fit()
    noted = [row["phase"] for row in tail.rows()]
    assert noted == [name for name in PHASES if name not in ("python", "ray", "queue", "step")]
    assert not logging.getLogger(VERL_LOGGER).handlers


def test_a_request_saves_after_the_step_and_ends(run: RunDir) -> None:
    trainer = Trainer(run)
    trainer.global_steps = 2
    requests.ask(run)
    assert requests.saved_step(run) is None
    assert trainer.fit() == [2]
    assert (trainer.saved, trainer.pushed) == ([2], [2])
    assert requests.saved_step(run) == 2
    assert trainer.timing_raw["save_checkpoint"] >= 0


def test_what_is_saved_already_is_not_saved_again(run: RunDir) -> None:
    trainer = Trainer(run)
    trainer._saved_step = 1
    requests.ask(run)
    assert trainer.fit() == [1]
    assert trainer.saved == []
    assert requests.saved_step(run) == 1


def test_a_request_in_the_last_step_changes_nothing(run: RunDir) -> None:
    trainer = Trainer(run)
    trainer.global_steps = 4
    requests.ask(run)
    assert trainer.fit() == [4]
    assert requests.saved_step(run) is None


class Keeping(KeepsStepMetrics, Verl):
    """A trainer whose step measures something."""

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
        return super().step(metrics, timing_raw)

    def _save_checkpoint(self) -> None:
        super()._save_checkpoint()
        folder = self._run.checkpoints_path / f"global_step_{self.global_steps}"
        (folder / "data.pt").touch()


def test_a_step_killed_after_its_checkpoint_keeps_its_row(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(self: Verl, metrics: dict[str, Any], timing_raw: dict[str, float]) -> None:
        metrics["reward/raw/mean"] = 0.5
        metrics["actor/grad_norm"] = 2.0

    monkeypatch.setattr(Verl, "step", measured, raising=False)
    run.append_metrics(1, {"reward/raw/mean": 0.25})
    trainer = Keeping(run)
    trainer.global_steps = 2
    metrics: dict[str, Any] = {}
    trainer.step(metrics, {})
    trainer._save_checkpoint()
    checkpoint = run.checkpoints_path / "global_step_2"
    monkeypatch.setattr(step_record, "newest_checkpoint", lambda _: checkpoint)
    restore_row(run)  # killed here, and started again
    restore_row(run)
    rows = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert (rows[1]["reward/raw/mean"], rows[1]["policy/grad_norm"]) == (0.5, 2.0)


def test_a_run_without_checkpoint_has_no_row_to_restore(run: RunDir) -> None:
    restore_row(run)
    assert not run.metrics_path.exists()


def test_an_old_request_is_withdrawn(run: RunDir) -> None:
    requests.ask(run)
    requests.withdraw(run)
    requests.withdraw(run)
    assert Trainer(run).fit() == [1, 2, 3, 4]


def test_only_new_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"step": 1}\n{"step": 2')
    tail = JsonLinesTail(path)
    assert tail.rows() == []
    with path.open("a") as file:
        file.write('\n{"step": 3}\n{"st')
    assert tail.rows() == [{"step": 3}]
    with path.open("a") as file:
        file.write('ep": 4}\n')
    assert tail.rows() == [{"step": 4}]
    assert tail.rows() == []


def test_a_file_that_was_cut_goes_on_with_later_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    old = [{"step": step, "time": "2026-01-01T00:00:00+00:00"} for step in range(1, 9)]
    append_json_lines(path, old)
    tail = JsonLinesTail(path)
    path.write_text("")
    append_json_lines(path, [*old[:5], {"step": 6, "time": "2999-01-01T00:00:00+00:00"}])
    assert [row["step"] for row in tail.rows()] == [6]
    append_json_lines(path, [{"step": 7, "time": "2999-01-01T00:00:00+00:00"}])
    assert [row["step"] for row in tail.rows()] == [7]


def test_polling_reads_nothing_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    append_json_lines(path, [{"step": step} for step in range(1000)])
    tail = JsonLinesTail(path)

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(Path, "open", fail)
    assert tail.rows() == []


def gpu_config(**changes: Any) -> Any:
    rollout = {"enforce_eager": False, "cudagraph_capture_sizes": None, "max_num_seqs": 512}
    rollout |= {"tensor_model_parallel_size": 1, "n": 8, **changes.pop("rollout", {})}
    trainer = {"device": "cuda", "n_gpus_per_node": 1, "nnodes": 1, **changes}
    return OmegaConf.create(
        {
            "data": {"train_batch_size": 24},
            "trainer": trainer,
            "actor_rollout_ref": {"rollout": rollout},
        }
    )


@pytest.mark.parametrize(
    ("changes", "most", "count"),
    [
        ({}, 192, 19),
        ({"n_gpus_per_node": 8}, 30, 7),
        ({"n_gpus_per_node": 8, "rollout": {"tensor_model_parallel_size": 2}}, 60, 11),
        ({"rollout": {"max_num_seqs": 64}}, 64, 11),
    ],
)
def test_graphs_are_recorded_for_what_a_step_needs(
    changes: dict[str, Any], most: int, count: int
) -> None:
    config = gpu_config(**changes)
    fill_graph_sizes(config)
    sizes = list(config.actor_rollout_ref.rollout.cudagraph_capture_sizes)
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1], len(sizes)) == (1, most, count)


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "cpu"},
        {"rollout": {"enforce_eager": True}},
        {"rollout": {"cudagraph_capture_sizes": [1, 8]}},
    ],
)
def test_graphs_that_were_chosen_or_are_off_stay(changes: dict[str, Any]) -> None:
    config = gpu_config(**changes)
    before = config.copy()
    fill_graph_sizes(config)
    assert config == before
