"""A run's files as they grow. Only what is new is read, and nothing is ever written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mint.evaluation.people import Reference, read_people
from mint.reporting.data import ReportData, load_results
from mint.rundir.directory import RunDir, by_step
from mint.shell.tail import JsonLinesFile
from mint.validation.record import read_validations
from rewards.errors import DataError

RESULTS, METRICS, SAMPLES, VALIDATIONS, START = (
    "results",
    "metrics",
    "samples",
    "validations",
    "start",
)
"""What can have changed."""
Signature = dict[str, tuple[int, int, int]]


class Followed:
    """A run whose files grow, shrink when it goes on from a checkpoint, and may be half written."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.data = _nothing(run)
        self.phases: list[dict[str, Any]] = []
        """Rows of logs/start.jsonl: the phases of the present start that are over."""
        self.not_yet: list[str] = []
        """Files that cannot be read, with the reason: half written, or broken."""
        self.versions = dict.fromkeys((RESULTS, METRICS, SAMPLES, VALIDATIONS, START), 0)
        """How often each has changed."""
        self._metrics = JsonLinesFile(run.metrics_path)
        self._samples = JsonLinesFile(run.samples_path)
        self._start = JsonLinesFile(run.start_path)
        self._results: Signature = {}
        self._validations: Signature = {}
        self._problems: dict[str, str] = {}

    def refresh(self) -> None:
        """Read what is new, and count it."""
        for name, look in self._looks():
            try:
                self.versions[name] += look()
            except OSError as error:
                self._problems[name] = f"{error.filename}: {error.strerror}"
        self.not_yet = [said for said in self._problems.values() if said]
        for file, name in ((self._metrics, "metrics.jsonl"), (self._samples, "samples.jsonl")):
            if file.broken:
                self.not_yet.append(f"{name}: {file.broken} lines are no JSON objects")

    def _looks(self) -> Iterator[tuple[str, Any]]:
        yield RESULTS, self._look_at_results
        yield METRICS, self._look_at_metrics
        yield SAMPLES, self._look_at_samples
        yield VALIDATIONS, self._look_at_validations
        yield START, self._look_at_start

    def _look_at_results(self) -> bool:
        found = signature(_result_files(self.run))
        if found == self._results:
            return False
        data = self._read(RESULTS, lambda: _results(self.run))
        if data is not None:
            self.data = replace(
                data,
                metrics=self.data.metrics,
                samples=self.data.samples,
                validations=self.data.validations,
            )
        # What was written meanwhile is looked at again.
        self._results = found
        return True

    def _look_at_metrics(self) -> bool:
        if not self._metrics.update():
            return False
        whole = (row for row in self._metrics.rows if isinstance(row.get("step"), int))
        self.data = replace(self.data, metrics=tuple(by_step(whole)))
        return True

    def _look_at_samples(self) -> bool:
        if not self._samples.update():
            return False
        whole = (row for row in self._samples.rows if isinstance(row.get("step"), int))
        self.data = replace(self.data, samples=tuple(whole))
        return True

    def _look_at_validations(self) -> bool:
        found = signature([self.run.validations_path])
        if found == self._validations:
            return False
        self._validations = found
        made = self._read(VALIDATIONS, lambda: tuple(read_validations(self.run)))
        if made is not None:
            self.data = replace(self.data, validations=made)
        return True

    def _look_at_start(self) -> bool:
        changed = self._start.update()
        self.phases = self._start.rows
        return changed

    def _read(self, what: str, read: Any) -> Any | None:
        """What `read` returns; None, with the reason noted, while a file is not whole."""
        self._problems[what] = ""
        try:
            return read()
        # A file of any content may be in the way: what can be shown is shown all the same.
        except Exception as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._problems[what] = f"{said} (half written, or broken)"
            return None


_MANIFEST = ("status", "error", "started", "finished", "recipe", "command", "graders")


def _results(run: RunDir) -> ReportData:
    """Raises DataError for a manifest without what pages need, besides what `load_results` does."""
    data = load_results(run)
    missing = [key for key in _MANIFEST if data.manifest is not None and key not in data.manifest]
    if missing:
        raise DataError(f"{run.manifest_path} has no {', '.join(missing)}")
    return data


def signature(paths: list[Path]) -> Signature:
    """What tells whether one of the files has changed."""
    found = {}
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            continue
        found[str(path)] = (state.st_ino, state.st_size, state.st_mtime_ns)
    return found


def _result_files(run: RunDir) -> list[Path]:
    own = [run.config_path, run.manifest_path, run.best_path, run.stopped_path]
    # A journal grows with every reply of an evaluation and is nothing that a report shows.
    made = (p for p in run.evaluation_path.glob("*.json*") if "journal" not in p.name)
    return [*own, *sorted(made)]


def _nothing(run: RunDir) -> ReportData:
    return ReportData(
        name=run.path.resolve().name,
        manifest=None,
        config=None,
        metrics=(),
        samples=(),
        before=None,
        after=None,
        comparison=None,
        before_replies=(),
        after_replies=(),
        cards={},
        validations=(),
        best=None,
        people=_unknown(),
    )


def _unknown() -> Reference:
    return read_people().beside({})
