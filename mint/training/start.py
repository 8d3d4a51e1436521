"""The start of a training run as its supervisor sees it: the phases, their times and limits."""

from __future__ import annotations

import time
from itertools import pairwise

from mint.rundir.directory import RunDir
from mint.rundir.manifest import amend_manifest
from mint.shell.console import say
from mint.shell.tail import JsonLinesTail
from mint.verl.phases import PHASES

_ORDER = tuple(PHASES)


class Start:
    """Follows RUN/logs/start.jsonl from now until the first step."""

    def __init__(self, run: RunDir) -> None:
        run.start_path.unlink(missing_ok=True)
        self._run = run
        self._rows = JsonLinesTail(run.start_path)
        self._began = self._last = time.time()
        self._seconds: dict[str, float] = {}

    def report(self) -> bool:
        """Print the phases that are over since the last call; whether there were any."""
        rows = self._rows.rows()
        for row in rows:
            self._end(str(row["phase"]), float(row["at"]))
        return bool(rows)

    def finish(self) -> None:
        """The first step is over: say what took longest and put all times into the manifest."""
        self._end(_ORDER[-1], time.time())
        longest = max(self._seconds, key=lambda name: self._seconds[name])
        say(
            f"start took {self._last - self._began:.0f} s, longest: {PHASES[longest].words} "
            f"({self._seconds[longest]:.0f} s)"
        )
        if self._run.manifest_path.exists():
            amend_manifest(self._run, {"start_s": self._seconds})

    def stuck(self, idle_s: float, start_s: float, step_s: float) -> str:
        """Why a start that has not moved for `idle_s` is stuck; "" when it is not.

        `start_s` is the limit of the longest phase, `step_s` that of a step.
        """
        following = dict(pairwise(_ORDER))
        name = _ORDER[0] if not self._seconds else following[list(self._seconds)[-1]]
        # Without phases the command is none of ours: then only the whole limit counts.
        share = PHASES[name].share if self._seconds else 1.0
        limit = step_s if share is None else share * start_s
        if idle_s <= limit:
            return ""
        waiting = f" (waiting for: {PHASES[name].words})" if self._seconds else ""
        return f"no first step finished for {limit:.0f} s{waiting}"

    def _end(self, name: str, at: float) -> None:
        took, self._last = at - self._last, at
        self._seconds[name] = round(self._seconds.get(name, 0.0) + took, 1)
        say(f"  {took:6.1f} s  {PHASES[name].words}")
