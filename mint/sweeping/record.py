"""sweep.json: what a sweep is made of and how far it is; and the locks that keep drivers apart.

The state of a job that has ended is read from its run directory, so that a driver that was killed
forgets nothing; sweep.json adds what only the driver knows: exit status, reason, attempts.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mint
from mint.rundir.directory import RunDir
from mint.shell.files import read_json, read_json_if_there, utc_now, write_json
from mint.shell.statuses import COLLAPSED
from mint.sweeping.jobs import Job
from mint.sweeping.locks import lock_path, locked
from mint.validation.record import COLLAPSE
from rewards.errors import ConfigError

FILE, PAGE = "sweep.json", "sweep.html"
WAITING, RUNNING, FINISHED, FAILED = "waiting", "running", "finished", "failed"
STOPPED = "stopped"
"""Ended because its driver was: it goes on when the sweep is started again."""
STATES = (WAITING, RUNNING, FINISHED, FAILED, STOPPED)


class Record:
    """The file sweep.json of a folder. Every change is on disk before the call returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE

    def read(self) -> dict[str, Any]:
        """Its content; {} when there is none."""
        return read_json_if_there(self.path) or {}

    def open(self, command: str, fixed: Sequence[str], jobs: Sequence[Job]) -> dict[str, Any]:
        """Write the jobs that are not in it yet; returns the content.

        Raises ConfigError when the folder holds something else, or another sweep.
        """
        self.check(fixed, jobs)
        with self._changing() as content:
            content.setdefault("mint", mint.__version__)
            content.setdefault("created", utc_now())
            content["command"] = command
            content.setdefault("fixed", list(fixed))
            content.setdefault("jobs", {})
            for job in jobs:
                _add(content["jobs"], job)
            return dict(content)

    def check(self, fixed: Sequence[str], jobs: Sequence[Job]) -> None:
        """Raise ConfigError when the folder holds something else, or another sweep."""
        content = self.read()
        if not content:
            if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                raise ConfigError(
                    f"{self.folder} is there and holds no sweep ({FILE}); choose another --dir"
                )
        elif sorted(content["fixed"]) != sorted(fixed):
            then, now = set(content["fixed"]), set(fixed)
            gone, new = " ".join(sorted(then - now)), " ".join(sorted(now - then))
            raise ConfigError(
                f"{self.folder} holds another sweep: it was started with {gone or 'nothing more'}, "
                f"now {new or 'that is missing'}; choose another --dir"
            )
        known = content["jobs"] if content else {}
        for job in jobs:
            if job.name not in known and job.folder.exists() and any(job.folder.iterdir()):
                raise ConfigError(
                    f"run directory {job.folder} already exists and is not of this sweep; choose "
                    "another --dir"
                )

    def add(self, job: Job) -> None:
        """A job that a search has thought of."""
        with self._changing() as content:
            _add(content["jobs"], job)

    def note(self, name: str, **facts: Any) -> None:
        """What is new of a job."""
        with self._changing() as content:
            content["jobs"][name].update(facts)

    def row(self, name: str) -> dict[str, Any]:
        """What is known of a job."""
        return dict(self.read()["jobs"][name])

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(lock_path(self.folder, FILE)) as held:
            assert held
            content = self.read()
            yield content
            write_json(self.path, {**content, "updated": utc_now()})


def _add(rows: dict[str, Any], job: Job) -> None:
    known = rows.get(job.name, {"state": WAITING, "attempts": 0, "status": None, "error": None})
    rows[job.name] = {
        **known,
        "label": job.label,
        "setting": job.setting,
        "choices": dict(job.choices),
        "overrides": list(job.overrides),
        "dir": str(job.folder),
        "trial": job.trial,
    }


def driver() -> dict[str, Any]:
    """Who drives: process and machine."""
    return {"pid": os.getpid(), "host": socket.gethostname()}


def status_of(folder: Path, row: Mapping[str, Any]) -> int:
    """The exit status of a finished job, also of one whose driver could not write it down."""
    stopped = (read_json_if_there(RunDir(folder).manifest_path) or {}).get("stopped") or {}
    return COLLAPSED if row["status"] == COLLAPSED or stopped.get("kind") == COLLAPSE else 0


def state_of(folder: Path, row: Mapping[str, Any]) -> str:
    """The state of a job that nobody runs, from its run directory and its row of sweep.json."""
    manifest = read_json_if_there(RunDir(folder).manifest_path)
    if manifest is not None and manifest["status"] == "finished":
        return FINISHED
    if manifest is None and row["state"] in (WAITING, RUNNING):
        return WAITING
    return FAILED if row["state"] == FAILED else STOPPED


def read_sweep(folder: Path) -> dict[str, Any]:
    """Content of a folder's sweep.json. Raises ConfigError when it is no sweep."""
    path = folder / FILE
    if not path.is_file():
        raise ConfigError(f"{folder} is no sweep: it has no {FILE}")
    content: dict[str, Any] = read_json(path)
    return content
