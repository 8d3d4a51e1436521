"""The watchdog: progress, real errors behind masking ones, stuck runs, leftovers."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from mint.rundir.directory import RunDir
from mint.shell.processes import TrainingError, first_error
from mint.training.supervise import Limits, supervise
from rewards.errors import ConfigError, GraderError

pytestmark = pytest.mark.slow

# ruff: noqa: E501
MASKED = """\
\x1b[36m(WorkerDict pid=12)\x1b[0m Traceback (most recent call last):
\x1b[36m(WorkerDict pid=12)\x1b[0m   File "a.py", line 1, in f
\x1b[36m(WorkerDict pid=12)\x1b[0m AttributeError: 'Parameter' object has no attribute 'weight_loader'
(WorkerDict pid=12) During handling of the above exception, another exception occurred:
(WorkerDict pid=12) Traceback (most recent call last):
(WorkerDict pid=12)   File "b.py", line 2, in g
(WorkerDict pid=12) BufferError: cannot close exported pointers exist
"""


def script(body: str) -> list[str]:
    return [sys.executable, "-c", body]


def go(run: RunDir, body: str, start_s: float = 20, step_s: float = 20) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    supervise(
        run,
        script(body),
        {"MINT_TEST": "1"},
        Limits(start_s=start_s, step_s=step_s, exit_s=2),
        seen.append,
    )
    return seen


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run")


def test_steps_are_reported_as_they_come(run: RunDir) -> None:
    body = (
        "import time\n"
        f"f = open({str(run.metrics_path)!r}, 'a', buffering=1)\n"
        "for i in (1, 2):\n    f.write('{\"step\": %d}\\n' % i); time.sleep(0.3)\n"
    )
    assert [row["step"] for row in go(run, body)] == [1, 2]


def test_output_goes_to_the_log(run: RunDir) -> None:
    go(run, "import os; print('noise', os.environ['MINT_TEST'])")
    assert "noise 1" in run.log_path.read_text()


def test_crash_shows_the_first_real_error(run: RunDir) -> None:
    with pytest.raises(TrainingError, match="weight_loader") as error:
        go(run, f"import sys; sys.stderr.write({MASKED!r}); sys.exit(3)")
    assert "BufferError" not in str(error.value)
    assert "verl.log" in str(error.value)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("GraderError", GraderError), ("ConfigError", ConfigError), ("ValueError", TrainingError)],
)
def test_error_report_keeps_its_kind(run: RunDir, kind: str, expected: type[Exception]) -> None:
    body = (
        "import json, sys\n"
        f"json.dump({{'kind': {kind!r}, 'message': 'it broke', 'traceback': ''}}, "
        f"open({str(run.path / 'logs' / 'error.json')!r}, 'w')); sys.exit(1)"
    )
    with pytest.raises(expected, match="it broke"):
        go(run, body)


def test_stuck_run_is_ended_with_its_error_and_children(run: RunDir, tmp_path: Path) -> None:
    pid_file = tmp_path / "child.pid"
    body = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], "
        "start_new_session=True)\n"
        f"open({str(pid_file)!r}, 'w').write(str(p.pid))\n"
        f"sys.stderr.write({MASKED!r}); sys.stderr.flush(); time.sleep(600)"
    )
    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"no first step finished for 3 s.*weight_loader"):
        go(run, body, start_s=3)
    assert time.monotonic() - began < 30
    child = int(pid_file.read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"


def test_process_that_reports_and_hangs_is_ended(run: RunDir) -> None:
    body = (
        "import json, time\n"
        "json.dump({'kind': 'GraderError', 'message': 'all failed', 'traceback': ''}, "
        f"open({str(run.path / 'logs' / 'error.json')!r}, 'w')); time.sleep(600)"
    )
    with pytest.raises(GraderError, match="all failed"):
        go(run, body)


@pytest.mark.parametrize("reported", [True, False])
def test_a_full_disk_is_named_behind_what_libraries_say_of_it(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, reported: bool
) -> None:
    """torch.save says "unexpected pos 64 vs 0"; whether the report was written is chance."""
    report = {"kind": "RuntimeError", "message": "unexpected pos 64 vs 0", "traceback": ""}
    write = f"open({str(run.error_path)!r}, 'w').write({json.dumps(report)!r})\n" * reported
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(TrainingError) as caught:
        go(run, f"{write}raise RuntimeError('unexpected pos 64 vs 0')")
    assert f"No space left on device: {run.path}" in str(caught.value)
    assert str(caught.value).count("unexpected pos") == reported


def test_first_error_prefers_the_cause() -> None:
    assert first_error(MASKED).startswith("AttributeError")
    assert first_error("no trace here") == ""
