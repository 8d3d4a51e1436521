"""Signals to a supervised run, and the death of its supervisor: real processes, a fake trainer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_run
import psutil
import pytest

from mint.rundir.directory import RunDir
from mint.shell.guard import guarded, run_guarded
from mint.verl import requests

pytestmark = pytest.mark.slow


def wait(condition, limit_s: float = 20) -> bool:  # type: ignore[no-untyped-def]
    end = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


def started(tmp_path: Path, **options: object) -> tuple[RunDir, subprocess.Popen[str]]:
    """A fake run in its second step, with guard, trainer, daemon and a deaf process."""
    run = RunDir.create(tmp_path / "run")
    supervisor = fake_run.start(run.path, **options)
    assert supervisor.stdout is not None
    lines = iter(supervisor.stdout.readline, "")
    assert next(line for line in lines if line == "step 2\n")
    assert wait(lambda: len(fake_run.alive(run.path)) == 4), fake_run.alive(run.path)
    return run, supervisor


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_the_family_and_says_so(tmp_path: Path, name: str) -> None:
    run, supervisor = started(tmp_path)
    began = time.monotonic()
    os.kill(supervisor.pid, signal.Signals[name])
    assert supervisor.wait(timeout=30) == 128 + signal.Signals[name]
    assert time.monotonic() - began < 15
    assert fake_run.alive(run.path) == {}
    assert (run.path / "reason").read_text() == f"ended by {name}"
    assert supervisor.stderr is not None
    said = supervisor.stderr.read().splitlines()
    assert said == [f"{name}: ending what was started", f"ended by {name}"]


def test_a_background_job_of_a_shell_listens_to_int(tmp_path: Path) -> None:
    run, supervisor = started(
        tmp_path, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
    )
    os.kill(supervisor.pid, signal.SIGINT)
    assert supervisor.wait(timeout=30) == 130
    assert fake_run.alive(run.path) == {}


def test_nohup_is_respected(tmp_path: Path) -> None:
    run, supervisor = started(
        tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    os.kill(supervisor.pid, signal.SIGHUP)
    time.sleep(0.5)
    assert supervisor.poll() is None
    os.kill(supervisor.pid, signal.SIGTERM)
    assert supervisor.wait(timeout=30) == 143
    assert fake_run.alive(run.path) == {}


def test_a_second_signal_does_not_stop_the_ending(tmp_path: Path) -> None:
    run, supervisor = started(tmp_path)
    for _ in range(4):
        os.kill(supervisor.pid, signal.SIGTERM)
        time.sleep(0.2)
    assert supervisor.wait(timeout=30) == 143
    assert fake_run.alive(run.path) == {}


def test_a_closed_terminal_leaves_nothing(tmp_path: Path) -> None:
    run, supervisor = started(tmp_path)
    assert supervisor.stdout is not None
    assert supervisor.stderr is not None
    supervisor.stdout.close()
    supervisor.stderr.close()
    os.kill(supervisor.pid, signal.SIGHUP)
    assert supervisor.wait(timeout=30) == 129
    assert fake_run.alive(run.path) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_kill_9_of_the_supervisor_leaves_nothing(tmp_path: Path) -> None:
    run, supervisor = started(tmp_path)
    supervisor.kill()
    assert wait(lambda: not fake_run.alive(run.path)), fake_run.alive(run.path)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_kill_9_of_the_training_process_leaves_nothing(tmp_path: Path) -> None:
    run, supervisor = started(tmp_path)
    [trainer] = [
        pid
        for pid, line in fake_run.alive(run.path).items()
        if line.endswith(" train") and "mint.shell.guard" not in line
    ]
    os.kill(trainer, signal.SIGKILL)
    assert supervisor.wait(timeout=30) == 1
    assert supervisor.stderr is not None
    assert "the training process ended with status -9" in supervisor.stderr.read()
    assert fake_run.alive(run.path) == {}


def test_kill_9_of_the_guard_leaves_nothing(tmp_path: Path) -> None:
    run, supervisor = started(tmp_path)
    time.sleep(2.5)  # the supervisor has looked at the family since it was complete
    [guard] = [pid for pid, line in fake_run.alive(run.path).items() if "mint.shell.guard" in line]
    os.kill(guard, signal.SIGKILL)
    assert supervisor.wait(timeout=30) == 1
    assert fake_run.alive(run.path) == {}


def test_usr1_asks_to_save_and_end(tmp_path: Path) -> None:
    run, supervisor = started(tmp_path)
    os.kill(supervisor.pid, signal.SIGUSR1)
    assert supervisor.wait(timeout=30) == 75
    saved = requests.saved_step(run)
    assert saved is not None
    assert saved >= 2
    assert fake_run.alive(run.path) == {}


@pytest.mark.parametrize(("code", "status"), [("pass", 0), ("raise SystemExit(7)", 7)])
def test_a_guarded_stage_keeps_its_status(code: str, status: int) -> None:
    assert run_guarded([sys.executable, "-c", code]) == status


def test_a_guarded_stage_that_is_killed_says_so() -> None:
    code = "import os; os.kill(os.getpid(), 9)"
    assert run_guarded([sys.executable, "-c", code]) == -9


def test_a_command_that_does_not_exist(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(["/no/such/command"]) == 127
    assert "error: /no/such/command: No such file" in capfd.readouterr().err


def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    body = "import subprocess, sys; p = subprocess.Popen(['sleep', '600'], start_new_session=True)"
    body += "; print(p.pid)"
    done = subprocess.run(
        guarded([sys.executable, "-c", body]),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert not psutil.pid_exists(int(done.stdout))
