"""A real training run of a tiny recipe under way: what it does, faults, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from training_queue import leftovers

from mint.rundir.directory import RunDir
from mint.rundir.manifest import read_manifest
from mint.shell.files import read_json_lines, utc_now

START_S = 900
"""How long a start may take on a busy machine."""
END_S = 60
"""Within this time after a fault a run has ended, with everything it has started."""
SMALL = (
    "data.train_batch_size=4",
    "actor_rollout_ref.rollout.n=4",
    "data.max_response_length=40",
    "mint.run.evaluate=false",
    "trainer.save_freq=1",
    "trainer.max_actor_ckpt_to_keep=2",
)
SUPERVISOR, GUARD, TRAINER = "supervisor", "mint.shell.guard", "mint.verl.worker"


def wait_for(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Until a condition is met. Raises AssertionError after `limit_s`."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {limit_s:.0f} s"
        time.sleep(0.1)


class Live:
    """One `python -m mint.train`; as a context it never outlives its test."""

    def __init__(
        self, folder: Path, path: Path, *overrides: str, steps: int = 50, recipe: str = "mint_tiny"
    ) -> None:
        """`folder` has the tiny policy and its data, `path` is the run directory."""
        self.run = RunDir(path)
        self.said = folder / f"{path.name}.{time.time_ns()}.out"
        self._since = utc_now()
        self._phases_before = self.run.start_path.exists() and self.run.start_path.stat().st_mtime
        here = Path(__file__).resolve().parent
        paths = [str(here), str(here / "soak"), *filter(None, [os.environ.get("PYTHONPATH")])]
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mint.train", f"+recipe={recipe}"),
                    *(*SMALL, f"mint.run.dir={path}", f"trainer.total_training_steps={steps}"),
                    *overrides,
                ],
                cwd=folder,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        self.started = time.monotonic()

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.said.read_text(errors="replace")

    def wait_steps(self, count: int) -> None:
        """Until `count` steps are over since this start."""
        self._wait(lambda: self._new_rows() >= count, f"{count} steps")

    def wait_phase(self, name: str) -> None:
        """Until a phase of this start is over."""
        path = self.run.start_path

        def over() -> bool:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime != self._phases_before:
                    return name in {row["phase"] for row in read_json_lines(path)}
            return False

        self._wait(over, f"phase {name}")

    def pid_of(self, part: str) -> int:
        """Process id of the supervisor, or of the process whose command line contains `part`."""
        if part == SUPERVISOR:
            return self.process.pid
        return self.pids(part)[0]

    def pids(self, part: str) -> list[int]:
        """Ids of its processes whose command line contains `part`; the guard only as GUARD."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            with contextlib.suppress(psutil.Error):
                ours = process.environ().get("TENSORBOARD_DIR") == str(self.run.tensorboard_path)
                if ours and part in line and (part == GUARD or GUARD not in line):
                    found.append(process.pid)
        return found

    def end(self, limit_s: float = END_S) -> int:
        """Exit status; it and all its processes are gone within `limit_s`."""
        try:
            status = self.process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {limit_s:.0f} s:\n{self.text}") from None
        wait_for(lambda: not leftovers(self.run.path), limit_s, "nothing left running")
        return status

    def _new_rows(self) -> int:
        rows = read_json_lines(self.run.metrics_path)
        return sum(row["time"] >= self._since for row in rows)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        def ended_or_met() -> bool:
            assert self.process.poll() is None or condition(), f"{what}: ended\n{self.text}"
            return condition()

        wait_for(ended_or_met, START_S, what)


def check_history(run: RunDir, steps: int) -> None:
    """metrics.jsonl holds each step once, in order, and every line of the run's files is whole."""
    rows = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, steps + 1))
    for path in (run.samples_path, run.quarantine_path):
        if path.exists():
            for line in path.read_text().splitlines():
                json.loads(line)


def reason(run: RunDir) -> str:
    """The error of the last attempt."""
    return str(read_manifest(run)["attempts"][-1]["error"])
