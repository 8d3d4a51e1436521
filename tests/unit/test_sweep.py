"""Sweeps, driven with real processes that stand in for training (tests/fake_trainer.py)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import demo_run
import psutil
import pytest

from mint import sweep, train
from mint.config.quoting import quoted
from mint.machine import gpus as machine
from mint.sweeping.command import parse
from mint.sweeping.ends import reason_of, worst
from mint.sweeping.gpus import Need, Pool, at_hand
from mint.sweeping.jobs import Grid, compose_jobs, folder_name
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow

KL = "mint.reward.kl=0,0.5,1"
CODE = """\
import sys
from omegaconf import OmegaConf
from mint.config import compose
from mint.shell import cli
from mint.sweeping import checks, command

def composed(lines):
    made = []
    for line in lines:
        trainer = {"device": "cpu", "n_gpus_per_node": 1, "nnodes": 1}
        trainer |= dict(o[8:].split("=") for o in line if o.startswith("trainer."))
        run = {"name": "", "dir": ""}
        ray = {"ray_init": {"address": "local"}}
        made.append(
            OmegaConf.create({"mint": {"run": run}, "trainer": trainer, "ray_kwargs": ray})
        )
    return made

compose.compose_configs = composed
command.check_jobs = lambda jobs, pool, graders=False: []
command.build_material = lambda jobs: None
sys.exit(cli.guarded(lambda: command.run(sys.argv[1:], module="fake_trainer")))
"""
"""A sweep of fake trainings: without what only real ones need, and what takes a second a job."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_run.make_run(tmp_path_factory.mktemp("template") / "run", steps=3).path


class Place:
    """A folder that sweeps are started in."""

    def __init__(self, path: Path, template: Path) -> None:
        self.path = path
        self.folder = path / "sw"
        (path / "template").symlink_to(template)
        self.behave()

    def behave(self, **behaviour: str) -> None:
        text = json.dumps({name.replace("kl_", "kl-"): what for name, what in behaviour.items()})
        (self.path / "behaviour.json").write_text(text)

    def start(self, *arguments: str, gpus: str | None = None) -> subprocess.Popen[str]:
        root = Path(__file__).resolve().parents[2]
        environment = {
            **os.environ,
            "PYTHONPATH": f"{root}:{root / 'tests'}",
            "PYTHONUNBUFFERED": "1",
        }
        environment |= {} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus}
        command = [sys.executable, "-c", CODE, "+recipe=mint_tiny", "--dir", "sw", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.path, env=environment, **pipes)

    def run(self, *arguments: str, gpus: str | None = None) -> tuple[int, str]:
        process = self.start(*arguments, gpus=gpus)
        output, _ = process.communicate(timeout=400)
        return process.returncode, output

    def jobs(self) -> dict[str, dict[str, Any]]:
        return json.loads((self.folder / "sweep.json").read_text())["jobs"]

    def states(self) -> dict[str, str]:
        return {name: row["state"] for name, row in self.jobs().items()}

    def log(self, what: str = "start") -> list[dict[str, Any]]:
        path = self.path / "started.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [row for row in rows if row["what"] == what]

    def wait_for(self, run: str) -> int:
        """Until a run has a checkpoint; its process id."""
        end = time.monotonic() + 200
        while not (self.folder / run / "checkpoints/global_step_1").is_dir():
            assert time.monotonic() < end
            time.sleep(0.05)
        return [row["pid"] for row in self.log() if row["run"] == run][-1]


@pytest.fixture
def place(tmp_path: Path, template: Path) -> Place:
    return Place(tmp_path, template)


def gone(pid: int, within_s: float = 10) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_every_value_is_a_run_in_a_folder_that_says_it(place: Place) -> None:
    status, output = place.run(KL)
    assert status == 0, output
    assert place.states() == dict.fromkeys(("kl-0", "kl-0.5", "kl-1"), "finished")
    for name, row in place.jobs().items():
        assert (
            json.loads((place.folder / name / "manifest.json").read_text())["status"] == "finished"
        )
        assert (row["status"], row["attempts"], row["dir"]) == (0, 1, str(place.folder / name))
    (first, *_) = place.log()
    assert "mint.reward.kl=0" in first["arguments"]
    assert "trainer.experiment_name=kl-0" in first["arguments"]
    assert "[kl 0.5] step   1/2" in output
    assert "3 finished" in output
    assert (place.folder / "logs/kl-1.log").read_text().startswith("step")


def test_a_failure_ends_no_other_job_and_is_what_the_sweep_returns(place: Place) -> None:
    place.behave(kl_0="fail", **{"kl_0.5": "collapse"})
    status, output = place.run(KL)
    assert status == 1
    assert place.states() == {"kl-0": "failed", "kl-0.5": "finished", "kl-1": "finished"}
    assert place.jobs()["kl-0"]["error"] == "the judge fell over"
    assert "[kl 0] failed after" in output
    assert "the judge fell over" in output
    assert "the same command goes on with what has not finished" in output
    # The job that the collapse alarm has ended is finished, and its status stays what it was.
    place.behave()
    status, output = place.run(KL)
    assert status == 3
    assert "[kl 0.5] is finished already" in output


def test_started_again_it_skips_what_is_finished_and_goes_on_with_what_broke(place: Place) -> None:
    place.behave(kl_0="fail once", kl_1="crash")
    status, output = place.run(KL)
    assert status == 137, output
    # A job that was killed ends neither the sweep nor its page.
    assert "[kl 1] failed" in output
    assert "it was killed by SIGKILL" in output
    assert "sweep: 1 finished, 2 failed; page: " in output
    assert (place.folder / "sweep.html").is_file()
    assert place.states() == {"kl-0": "failed", "kl-0.5": "finished", "kl-1": "failed"}
    status, output = place.run(KL)
    assert status == 0, output
    assert set(place.states().values()) == {"finished"}
    again = place.log()[3:]
    assert [row["run"] for row in again] == ["kl-0", "kl-1"]
    assert f"mint.run.dir={place.folder}/kl-1" in again[1]["arguments"]
    assert "mint.run.resume=true" in again[1]["arguments"]
    # One without a checkpoint goes on as well: by the rule of resume, in its own folder.
    assert again[0]["arguments"] == [f"mint.run.dir={place.folder}/kl-0", "mint.run.resume=true"]
    assert "[kl 0] going on from step 0" in output
    assert "[kl 1] going on from global_step_1" in output
    assert place.jobs()["kl-1"]["attempts"] == 2


def test_more_values_are_added_to_a_sweep(place: Place) -> None:
    assert place.run("mint.reward.kl=0,1")[0] == 0
    status, output = place.run("mint.reward.kl=0,0.5,1")
    assert status == 0, output
    assert [row["run"] for row in place.log()] == ["kl-0", "kl-1", "kl-0.5"]


def test_kill_9_of_the_driver_ends_its_job_and_the_next_start_goes_on(place: Place) -> None:
    place.behave(**{"kl_0.5": "hang"})
    driver = place.start(KL)
    pid = place.wait_for("kl-0.5")
    driver.kill()
    driver.communicate()
    assert gone(pid), "the job outlives its driver"
    assert place.states()["kl-0.5"] == "running", "a killed driver writes nothing"
    (place.path / "go").touch()
    status, output = place.run(KL)
    assert status == 0, output
    assert [row["run"] for row in place.log()] == ["kl-0", "kl-0.5", "kl-0.5", "kl-1"]
    assert "[kl 0.5] going on from global_step_1" in output
    assert place.states() == dict.fromkeys(("kl-0", "kl-0.5", "kl-1"), "finished")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_jobs_and_says_so(place: Place, sign: signal.Signals) -> None:
    place.behave(kl_0="hang", kl_1="hang")
    driver = place.start(KL, "--parallel", "3")
    pids = [place.wait_for("kl-0"), place.wait_for("kl-1")]
    driver.send_signal(sign)
    output, _ = driver.communicate(timeout=400)
    assert driver.returncode == 128 + sign
    assert all(gone(pid, 1) for pid in pids)
    assert f"the sweep was ended by {sign.name}; the same command goes on with it" in output
    assert place.states()["kl-0"] == place.states()["kl-1"] == "stopped"
    assert place.jobs()["kl-1"]["error"] == f"the sweep was ended by {sign.name}"


def test_usr1_lets_jobs_save_and_starts_no_further_one(place: Place) -> None:
    place.behave(kl_0="hang")
    driver = place.start(KL)
    place.wait_for("kl-0")
    driver.send_signal(signal.SIGUSR1)
    output, _ = driver.communicate(timeout=400)
    assert driver.returncode == 75, output
    assert place.states() == {"kl-0": "stopped", "kl-0.5": "waiting", "kl-1": "waiting"}


def test_two_drivers_share_a_sweep_and_no_job_is_run_twice(place: Place) -> None:
    place.behave(kl_0="hang")
    first = place.start(KL)
    place.wait_for("kl-0")
    status, output = place.run(KL)
    assert status == 0, output
    assert "[kl 0] is being run by another process and left to it" in output
    (place.path / "go").touch()
    first.communicate(timeout=400)
    assert first.returncode == 0
    assert sorted(row["run"] for row in place.log()) == ["kl-0", "kl-0.5", "kl-1"]


def test_jobs_of_an_array_by_number(place: Place) -> None:
    assert place.run(KL, "--only", "2")[0] == 0
    assert place.states() == {"kl-0": "waiting", "kl-0.5": "waiting", "kl-1": "finished"}
    assert place.run(KL, "--only", "0-1")[0] == 0
    assert [row["run"] for row in place.log()] == ["kl-1", "kl-0", "kl-0.5"]
    status, output = place.run(KL, "--only", "3")
    assert status == 2
    assert "error: --only 3: the jobs are numbered 0 to 2" in output


def test_jobs_run_on_the_gpus_at_hand(place: Place) -> None:
    cuda = ("trainer.device=cuda", "trainer.n_gpus_per_node=2", "mint.reward.kl=0,0.5,1,2")
    status, output = place.run(*cuda, gpus="4,5,GPU-a,GPU-b,9")
    assert status == 0, output
    starts = {row["run"]: row for row in place.log()}
    ends = {row["run"]: row["time"] for row in place.log("end")}
    assert {starts["kl-0"]["gpus"], starts["kl-0.5"]["gpus"]} == {"4,5", "GPU-a,GPU-b"}
    assert {row["gpus"] for row in starts.values()} == {"4,5", "GPU-a,GPU-b"}
    assert starts["kl-0.5"]["time"] < ends["kl-0"], "side by side"
    assert starts["kl-1"]["time"] > min(ends["kl-0"], ends["kl-0.5"]), "the third waits"
    assert "on GPU 4, 5" in output


def test_without_gpus_jobs_run_one_by_one(place: Place) -> None:
    assert place.run(KL, gpus="")[0] == 0
    starts, ends = place.log(), place.log("end")
    assert all(e["time"] < s["time"] for e, s in zip(ends, starts[1:], strict=False))


def test_another_sweep_is_not_mixed_in(place: Place) -> None:
    assert place.run(KL)[0] == 0
    status, output = place.run(KL, "mint.reward.entropy=1")
    assert status == 2
    assert "holds another sweep" in output
    assert "mint.reward.entropy=1" in output
    (place.path / "other").mkdir()
    (place.path / "other/x").touch()
    status, output = place.run(KL, "--dir", "other")
    assert status == 2
    assert "is there and holds no sweep" in output


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = train.main(["-m", "+recipe=mint_tiny", *arguments])
    captured = capsys.readouterr()
    return status, captured.err


@pytest.mark.parametrize("extra", [(), ("--dry-run",)])
def test_one_run_directory_for_all_jobs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: tuple[str, ...]
) -> None:
    status, text = said(capsys, KL, f"mint.run.dir={tmp_path}/x", *extra)
    assert status == 2
    assert f"mint.run.dir={tmp_path}/x would be the folder of 3 runs" in text
    assert f"--dir {tmp_path}/x" in text
    assert not list(tmp_path.iterdir())
    both = (f"mint.run.dir={tmp_path}/a,{tmp_path}/b", "mint.run.seed=0,1")
    status, text = said(capsys, *both, *extra)
    assert status == 2
    assert "would be the folder of 2 runs" in text


def test_run_directories_that_differ_are_kept(tmp_path: Path) -> None:
    grid = Grid(["+recipe=mint_tiny", KL, f"mint.run.dir='{tmp_path}/kl_${{mint.reward.kl}}'"])
    assert [job.folder.name for job in grid.jobs(tmp_path / "sw")] == ["kl_0.0", "kl_0.5", "kl_1.0"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("mint.run.resume=true", KL), "mint.run.resume cannot be set for a sweep"),
        (("mint.reward.kl=1,1",), "the same value is listed twice"),
        (("mint.reward.kl=interval(0,1)",), "an interval has no list of values"),
        ((KL, "mint.reward.kl=2,3"), "mint.reward.kl is swept twice"),
        (("mint.reward.kll=1,2",), "unknown key 'mint.reward.kll'; did you mean 'mint.reward.kl'?"),
        ((KL, "--onyl", "3"), "unknown option '--onyl'; did you mean '--only'?"),
        ((KL, "--only", "x"), "--only takes numbers of jobs, such as 3 or 0,2-4, got 'x'"),
        ((KL, "--parallel", "0"), "--parallel must be a whole number >= 1, got '0'"),
        ((KL, "--dir"), "--dir needs a value"),
        ((KL, "--only", "1", "--search", "3"), "--only names jobs of a list"),
    ],
)
def test_what_is_wrong_with_the_command_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    status, text = said(capsys, *arguments, "--dry-run")
    assert status == 2
    assert expected in text
    assert text.count("\n") == 1


def test_each_job_is_checked_before_the_first_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for extra in ((), ("--dry-run",)):
        arguments = [
            "+recipe=mint_tiny",
            "mint.reward.kl=1,-1",
            "data.train_batch_size=8,9",
            *extra,
        ]
        assert sweep.main(arguments) == 2
        captured = capsys.readouterr()
        assert "error: mint.reward.kl must be >= 0" in captured.err
        assert "(kl -1, train_batch_size 8, kl -1, train_batch_size 9)" in captured.err
    assert list(tmp_path.iterdir()) == []


def test_recipes_are_swept(tmp_path: Path) -> None:
    jobs = Grid(["+recipe=mint_4b,quality_only_4b", "mint.run.seed=0,1"]).jobs(tmp_path)
    assert [job.name for job in jobs] == [
        "mint_4b_seed-0",
        "mint_4b_seed-1",
        "quality_only_4b_seed-0",
        "quality_only_4b_seed-1",
    ]
    assert [job.setting for job in jobs[1:3]] == ["mint_4b", "quality_only_4b"]
    assert jobs[2].config.mint.reward.mode == "quality_only"
    assert jobs[2].config.mint.run.name == "quality_only_4b"


def test_names_are_safe_short_and_unique(tmp_path: Path) -> None:
    assert folder_name({"a.b": "[1,2]/x y", "c.b": "1e-6"}, {"a.b": "a.b", "c.b": "c.b"}) == (
        "a.b--1-2-x-y_c.b-1e-6"
    )
    assert len(folder_name({"k": "x" * 300}, {"k": "k"})) <= 80
    lines = [
        ["+recipe=mint_tiny", f"trainer.project_name={v}"] for v in ("'a b'", "'a-b'", "'A B'")
    ]
    choices = [{"trainer.project_name": line[1].split("=")[1]} for line in lines]
    names = [job.name for job in compose_jobs(lines, choices, tmp_path)]
    assert len({name.lower() for name in names}) == 3


def test_where_a_folder_has_odd_characters_the_override_is_quoted() -> None:
    from mint.config.compose import parse_overrides

    for value in ("/a/b-c_1.5", "/a b/[x]", "/it's=1", "/a\\b,c"):
        (read,) = parse_overrides([f"x={quoted(value)}"])
        assert read.value() == value


def test_the_worst_status_is_a_failure_before_a_collapse() -> None:
    assert [worst(s) for s in ([], [0, 0], [0, 3], [3, 1, 0], [2, 137])] == [0, 0, 3, 1, 137]


def test_why_a_job_failed_is_told_in_its_own_words_or_by_its_status() -> None:
    assert reason_of("a\nerror: first\nerror: second\nb", 1) == "second"
    assert reason_of("", 137).startswith("it was killed by SIGKILL, as the system does")
    assert reason_of("", 143) == "it was killed by SIGTERM"
    assert reason_of("", 75) == "it ended with status 75"


def test_gpus_are_those_that_may_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert at_hand({"CUDA_VISIBLE_DEVICES": "2, GPU-1"}) == ("2", "GPU-1")
    assert at_hand({"CUDA_VISIBLE_DEVICES": ""}) == at_hand({"CUDA_VISIBLE_DEVICES": "-1"}) == ()

    def answer(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, "0\n1\n", "")

    monkeypatch.setattr(machine.subprocess, "run", answer)
    assert at_hand({}) == ("0", "1")


def test_the_pool_gives_each_gpu_to_one_job() -> None:
    pool = Pool(("0", "1", "2"))
    assert pool.take(Need(2)) == ("0", "1")
    assert pool.take(Need(2)) is None
    assert pool.take(Need(1)) == ("2",)
    pool.give_back(("0", "1"))
    assert pool.take(Need(8, whole=True)) is None, "another job runs"
    pool.give_back(("2",))
    assert pool.take(Need(8, whole=True)) == ()
    assert pool.take(Need(1)) is None
    with pytest.raises(ConfigError, match="n_gpus_per_node=4, but 3 GPUs are at hand"):
        pool.check(Need(4))


def test_the_same_command_has_the_same_folder() -> None:
    from mint.sweeping.command import default_folder

    def folder(*arguments: str) -> Path:
        asked = parse(arguments)
        return default_folder(Grid(asked.overrides), asked)

    first = folder("+recipe=mint_tiny", KL)
    assert first == folder("+recipe=mint_tiny", "mint.reward.kl=2,3", "--only", "1")
    assert first != folder("+recipe=mint_tiny", KL, "mint.run.evaluate=false")
    assert first.name.startswith("mint_tiny_kl_")
