"""The search of a sweep: proposals, what it is told, and how it goes on after an end."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from mint import sweep
from mint.rundir.directory import RunDir
from mint.shell.files import write_json
from mint.sweeping import record as states
from mint.sweeping import search as searching
from mint.sweeping.jobs import Grid, Job
from mint.sweeping.record import Record
from mint.sweeping.search import Search
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow

LINE = ("+recipe=mint_tiny", "mint.reward.kl=interval(0,2)", "mint.reward.mode=add,multiply")
needs_optuna = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="requirements/dev.txt brings optuna"
)


def start(folder: Path, trials: int, *line: str) -> Search:
    """As the command does, without driving."""
    record = Record(folder)
    search = Search(Grid(line or LINE), trials, record)
    record.open("mint sweep", search.fixed, [])
    search.begin()
    return search


def finish(search: Search, job: Job, empathy: float | None = 2.0) -> None:
    """The run of a job, done."""
    run = RunDir(job.folder)
    write_json(run.manifest_path, {"status": "finished"})
    metrics = {"empathy": {"mean": empathy}, "lift": {"mean": 0.1}}
    write_json(run.after_path, {"graders": {}, "metrics": metrics})
    search._record.note(job.name, state=states.FINISHED, status=0)
    search.ended(job, states.FINISHED)


def told(search: Search) -> dict[int, str]:
    return {trial.number: trial.state.name for trial in search._study.trials}


@needs_optuna
def test_it_proposes_settings_within_their_ranges(tmp_path: Path) -> None:
    search = start(tmp_path, 6)
    jobs = []
    while (job := search.next()) is not None:
        jobs.append(job)
        finish(search, job, empathy=2.0 + float(job.choices["mint.reward.kl"]))
    assert len(jobs) == 6
    assert len({job.choices["mint.reward.kl"] for job in jobs}) > 3
    for i, job in enumerate(jobs):
        assert 0 <= job.config.mint.reward.kl <= 2
        assert job.config.mint.reward.kl == float(job.choices["mint.reward.kl"])
        assert job.config.mint.reward.mode in ("add", "multiply")
        assert job.name.startswith(f"trial-{i:04d}_kl-")
        assert job.overrides[0] == "+recipe=mint_tiny"
    assert set(told(search).values()) == {"COMPLETE"}
    assert len(search._study.directions) == 2
    assert search._study.trials[0].values[1] == pytest.approx(0.1)


@needs_optuna
def test_started_again_it_goes_on_with_what_broke_and_repeats_no_proposal(tmp_path: Path) -> None:
    search = start(tmp_path, 4)
    first, second, third = (search.next() for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    finish(search, first)
    search._record.note(second.name, state=states.FAILED, status=1)
    search.ended(second, states.FAILED)
    # The third has finished, and the driver was killed before it could tell so.
    write_json(RunDir(third.folder).manifest_path, {"status": "finished"})
    search._study.ask()  # and one was asked for that no record knows

    again = start(tmp_path, 5)
    assert told(again) == {0: "COMPLETE", 1: "RUNNING", 2: "RUNNING", 3: "FAIL"}
    left = [again.next(), again.next()]
    assert [job and (job.name, dict(job.choices)) for job in left] == [
        (one.name, dict(one.choices)) for one in (second, third)
    ]
    for job in left:
        assert job is not None
        finish(again, job)
    more = [again.next(), again.next()]
    assert all(job is not None for job in more)
    assert again.next() is None
    choices = [job.choices["mint.reward.kl"] for job in (first, second, third, *more) if job]
    assert len(set(choices)) == 5
    assert told(again)[1] == told(again)[2] == "COMPLETE"


@needs_optuna
def test_a_run_without_values_tells_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = start(tmp_path, 2)
    job = search.next()
    assert job is not None
    finish(search, job, empathy=None)
    assert told(search) == {0: "RUNNING"}
    assert "tells the search nothing" in capsys.readouterr().out


@needs_optuna
def test_safety_is_a_goal_where_runs_measure_it(tmp_path: Path) -> None:
    search = start(tmp_path, 2, *LINE, "mint.validation.every_steps=1")
    assert search._goals == ["empathy", "off_lift", "unsafe"]
    assert [d.name for d in search._study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]


@needs_optuna
def test_ends_of_intervals_and_all_values_are_checked_at_the_start(tmp_path: Path) -> None:
    line = (*LINE, "actor_rollout_ref.actor.optim.lr=tag(log,interval(1e-6,1e-4))")
    line = (*line, "trainer.save_freq=int(interval(2,5))", "data.train_batch_size=range(8,25,8)")
    jobs = Search(Grid(line), 3, Record(tmp_path)).corners()
    tried = [tuple(job.choices.values()) for job in jobs]
    # In the middle of the others: no reward at all (kl=0) cannot be multiplied.
    assert tried[0] == ("1", "add", "1e-05", "3", "8")
    assert ("1", "multiply", "1e-05", "3", "8") in tried
    assert {one[0] for one in tried} == {"0", "1", "2"}
    assert {one[1] for one in tried} == {"add", "multiply"}
    assert {one[2] for one in tried} == {"1e-06", "1e-05", "0.0001"}
    assert {one[3] for one in tried} == {"2", "3", "5"}
    assert {one[4] for one in tried} == {"8", "16", "24"}
    search = start(tmp_path, 3, *line)
    job = search.next()
    assert job is not None
    assert job.config.data.train_batch_size in (8, 16, 24)
    assert 2 <= job.config.trainer.save_freq <= 5


@needs_optuna
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (("mint.reward.kl=1",), "nothing to search over"),
        (("mint.run.seed=0,1", LINE[1]), "mint.run.seed is nothing to search over"),
        ((LINE[1], "mint.run.evaluate=false"), "--search needs mint.run.evaluate=true"),
        (("mint.reward.kl=interval(-1,2)",), "mint.reward.kl must be >= 0"),
    ],
)
def test_what_cannot_be_searched_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: tuple[str, ...], expected: str
) -> None:
    arguments = [LINE[0], *line, "--search", "3", "--dir", str(tmp_path), "--dry-run"]
    assert sweep.main(arguments) == 2
    assert expected in capsys.readouterr().err


def test_without_optuna_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs optuna.*pip install 'mint-empathy\[search\]'"):
        Search(Grid(LINE), 3, Record(tmp_path))
