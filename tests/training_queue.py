"""Real training runs in the background, one at a time, while other tests use the idle time.

Starting VERL, Ray and vLLM takes a minute or two of mostly one core. A run's directory is copied as
soon as it has ended, so that a later run may continue in it before the tests have looked at it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import psutil

from mint.rundir.directory import RunDir

LIMIT_S = 900
E2E = Path(__file__).resolve().parent / "e2e"


class Trained(NamedTuple):
    """What a run has left behind."""

    run: RunDir
    """Copy of the run directory as it was at the run's end."""
    status: int
    stdout: str
    stderr: str
    leftovers: list[str]
    """Command lines of its processes that were still there after its end."""


class TrainingQueue:
    """`python -m mint.train ...`, or another command, for each run added, in this order."""

    def __init__(self, folder: Path) -> None:
        """Runs start in `folder`, where the tiny policy and its data are."""
        self._folder = folder
        self._pool = ThreadPoolExecutor(1)
        self._runs: dict[str, Future[Trained]] = {}
        self._process: subprocess.Popen[str] | None = None
        self._given_up = False

    def path(self, directory: str) -> Path:
        """Where a run directory is while it is in use."""
        return self._folder / directory

    def add(
        self,
        name: str,
        directory: str,
        *overrides: str,
        held: AbstractContextManager[object] | None = None,
    ) -> None:
        """Queue a run of mint_tiny, unless its first override names a recipe or it goes on; one
        of `mint sft` is run by it. `held` is entered while it works."""
        path = self.path(directory)
        if overrides[0].startswith("+recipe=sft_"):
            command = ["mint.sft", *overrides, f"run.dir={path}"]
        else:
            named = overrides[0].startswith("+recipe=") or "mint.run.resume=true" in overrides
            recipe = () if named else ("+recipe=mint_tiny",)
            command = ["mint.train", *recipe, *overrides, f"mint.run.dir={path}"]
        self._runs[name] = self._pool.submit(
            self._train, name, path, command, held or nullcontext()
        )

    def result(self, name: str) -> Trained:
        """Waits for the run."""
        return self._runs[name].result()

    def stop(self) -> None:
        """Give up what has not ended yet."""
        self._given_up = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._process is not None:
            _interrupt(self._process)
        self._pool.shutdown()

    def _train(
        self,
        name: str,
        path: Path,
        command: list[str],
        held: AbstractContextManager[object],
    ) -> Trained:
        paths = [str(E2E), str(E2E.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        with held:
            if self._given_up:
                raise CancelledError
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(paths),
                },
            )
            try:
                stdout, stderr = process.communicate(timeout=LIMIT_S)
            except subprocess.TimeoutExpired:
                _interrupt(process)
                raise
        left = leftovers(path)
        kept = self._folder / "ended" / name
        if path.is_dir():
            shutil.copytree(path, kept)
        return Trained(RunDir(kept), process.returncode, stdout, stderr, left)


def leftovers(run: Path) -> list[str]:
    """Command lines of processes that still work for the run.

    Ray, vLLM and verl processes inherit the run's TENSORBOARD_DIR, whatever they are called.
    """
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        try:
            target = process.environ().get("TENSORBOARD_DIR", "")
        except psutil.Error:
            continue
        ours = bool(target) and Path(target).is_relative_to(run)
        if ours and process.info["status"] != "zombie":
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def _interrupt(process: subprocess.Popen[str]) -> None:
    """End a run as Ctrl-C does: it ends all that it has started."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
