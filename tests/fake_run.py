"""A supervised run whose training is a small program: `python -m fake_run RUN [steps=N]`.

The "training" starts what real training starts: a daemon in a session of its own, and a process
that does not listen to SIGTERM. It does a step every 0.2 s, and saves and ends when asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from mint.rundir.directory import RunDir
from mint.shell.cli import guarded
from mint.shell.signals import Signalled, on_signal, signals_raise
from mint.training.supervise import Limits, supervise
from mint.verl import requests

MARK = "MINT_FAKE_RUN"
_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def alive(run: Path) -> dict[int, str]:
    """Process id -> command line of what a run's supervisor has started and is still there."""
    found = {}
    for process in psutil.process_iter(["cmdline", "status"]):
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == str(run) and process.info["status"] != "zombie":
                found[process.pid] = " ".join(process.info["cmdline"] or [])
    return found


def start(run: Path, *arguments: str, **options: object) -> subprocess.Popen[str]:
    """The supervisor of a fake run, as a process."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", "fake_run", str(run), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        **options,  # type: ignore[arg-type]
    )  # type: ignore[call-overload, no-any-return]


def train(run: RunDir) -> None:
    """What stands in for verl."""
    daemon = "import subprocess, sys, time; "
    daemon += f"subprocess.Popen([sys.executable, '-c', {_DEAF!r}]); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", daemon], start_new_session=True)
    for step in range(1, 1000):
        time.sleep(0.2)
        with run.metrics_path.open("a") as file:
            file.write(json.dumps({"step": step}) + "\n")
        if run.save_and_end_path.exists():
            run.save_and_end_path.write_text(json.dumps({"saved_step": step}))
            return


def main(path: Path) -> int:
    """Exit status of the supervised run; prints each step and how it ended."""
    run = RunDir(path)

    def work() -> int:
        try:
            with signals_raise(), on_signal(signal.SIGUSR1, lambda: requests.ask(run)):
                supervise(
                    run,
                    [sys.executable, "-m", "fake_run", str(path), "train"],
                    {MARK: str(path)},
                    Limits(start_s=30, step_s=30),
                    lambda row: print("step", row["step"], flush=True),
                )
        except Signalled as ended:
            (path / "reason").write_text(str(ended))
            raise
        return 0 if requests.saved_step(run) is None else 75

    return guarded(work)


if __name__ == "__main__":
    if sys.argv[2:] == ["train"]:
        train(RunDir(Path(sys.argv[1])))
    else:
        sys.exit(main(Path(sys.argv[1])))
