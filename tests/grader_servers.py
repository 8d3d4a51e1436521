"""Real graders' servers, and one that stands before such a server and misbehaves."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from loopback import Answer, Loopback, Seen

from mint.rundir.directory import RunDir
from mint.shell.files import read_json_lines

START_LIMIT_S = 400


class Serving:
    """One `python -m mint.serve` with what it says about its server."""

    def __init__(self, folder: Path, part: str, *settings: str) -> None:
        self.part = part
        self.ready_file = folder / f"{part}.json"
        self.output = folder / f"{part}.out"
        common = ("port=0", "kv_cache_gib=0.25", "dtype=float32", "threads=1", "backoff_s=0.5")
        command = [sys.executable, "-u", "-m", "mint.serve", part, *common, *settings]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, f"ready_file={self.ready_file}"],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self, other_than: int = 0) -> dict[str, Any]:
        """Facts of the healthy server; `other_than`: process id of the one before a restart."""
        end = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end:
            assert self.process.poll() is None, self.output.read_text()
            with contextlib.suppress(FileNotFoundError):
                facts: dict[str, Any] = json.loads(self.ready_file.read_text())
                if facts["pid"] != other_than:
                    return facts
            time.sleep(0.2)
        raise AssertionError(f"{self.part} is not ready: {self.output.read_text()}")

    @property
    def facts(self) -> dict[str, Any]:
        return self.wait_ready()

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    def family(self) -> list[psutil.Process]:
        """The command, its server and all of their processes."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def stop(self) -> int:
        """Exit status, after SIGTERM if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


class FlakyJudge(Loopback):
    """Stands before the real reward model; in a run's third step refuses every third reply."""

    def __init__(self, url: str, run: Path) -> None:
        self._real = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._metrics = RunDir(run).metrics_path
        self._asked = itertools.count()
        super().__init__(self._forward)

    def _forward(self, seen: Seen) -> Answer:
        if seen.method == "POST" and self._third_step() and next(self._asked) % 3 == 2:
            return Answer(status=400, body={"error": "refused by the test"})
        kept = {k: v for k, v in seen.headers.items() if k in ("Authorization", "Content-Type")}
        answer = self._real.request(seen.method, seen.path, headers=kept, json=seen.body)
        return Answer(answer.content, answer.status_code)

    def _third_step(self) -> bool:
        return len(read_json_lines(self._metrics)) == 2
