"""The run directory: the one place that knows its file names and how they are written and read.

    RUN/config.yaml           resolved configuration
    RUN/manifest.json         versions, revision, seeds, data hashes, graders, command, status
    RUN/metrics.jsonl         one JSON object a step
    RUN/samples.jsonl         best and worst replies, or dialogues, of training
    RUN/quarantine.jsonl      replies that could not be graded, with all that grading again needs
    RUN/lost_dialogues.jsonl  dialogues that have no result, and who lost them
    RUN/evaluation/           before.json, after.json, *_replies.jsonl, comparison.json
    RUN/validation.jsonl      one JSON object a validation; RUN/validation/ has prompts and replies
    RUN/best.json             the best validated step and why; RUN/stopped.json: why it ended early
    RUN/model/                the trained policy in Hugging Face form
    RUN/adapter/, RUN/heads/  of `mint sft` and `mint prefer`: the LoRA adapter, the heads
    RUN/checkpoints/, tensorboard/, report.html, logs/verl.log, logs/error.json: how it failed
    RUN/logs/start.jsonl      when each phase of the start was over
    RUN/save_and_end          asks the trainer to save after its step and end; then: which step
    RUN/regraded.jsonl        what `mint.regrade` made of quarantine.jsonl

Line files are opened, appended to and closed for every row, so several processes may hold the same
`RunDir` and a killed run loses at most the row it was writing. A run that goes on from an earlier
step is cut to it first (`mint.rundir.cutting`), so each step stands once.
"""

from __future__ import annotations

import fcntl
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mint.shell.files import (
    append_json_lines,
    read_json_lines,
    read_json_lines_counted,
    utc_now,
)
from rewards.errors import ConfigError, DataError


class _Inside:
    """The path of a file or folder of a run, as an attribute of its `RunDir`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: RunDir, owner: type[RunDir]) -> Path:
        return run.path / self._name


@dataclass(frozen=True)
class RunDir:
    """A run directory. Holds nothing but its path, so it can be pickled to other processes."""

    path: Path

    config_path = _Inside("config.yaml")
    manifest_path = _Inside("manifest.json")
    metrics_path = _Inside("metrics.jsonl")
    samples_path = _Inside("samples.jsonl")
    quarantine_path = _Inside("quarantine.jsonl")
    lost_path = _Inside("lost_dialogues.jsonl")
    regraded_path = _Inside("regraded.jsonl")
    evaluation_path = _Inside("evaluation")
    before_path = _Inside("evaluation/before.json")
    after_path = _Inside("evaluation/after.json")
    comparison_path = _Inside("evaluation/comparison.json")
    validation_path = _Inside("validation")
    validations_path = _Inside("validation.jsonl")
    prompts_path = _Inside("validation/prompts.parquet")
    best_path = _Inside("best.json")
    stopped_path = _Inside("stopped.json")
    model_path = _Inside("model")
    adapter_path = _Inside("adapter")
    heads_path = _Inside("heads")
    scores_path = _Inside("evaluation/heads.json")
    checkpoints_path = _Inside("checkpoints")
    tensorboard_path = _Inside("tensorboard")
    log_path = _Inside("logs/verl.log")
    error_path = _Inside("logs/error.json")
    start_path = _Inside("logs/start.jsonl")
    save_and_end_path = _Inside("save_and_end")
    report_path = _Inside("report.html")

    @classmethod
    def create(cls, path: str | Path) -> RunDir:
        """A new run directory. Raises ConfigError when something is already there."""
        run = cls(Path(path))
        if not run.is_free:
            raise ConfigError(f"run directory {path} already exists; choose another one")
        for folder in (run.log_path.parent, run.evaluation_path):
            folder.mkdir(parents=True, exist_ok=True)
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunDir:
        """An existing run directory. Raises ConfigError when it is not one."""
        path = Path(path)
        if not path.is_dir():
            what = "is a file; give the folder of a run" if path.exists() else "does not exist"
            raise ConfigError(f"run directory {path} {what}")
        run = cls(path)
        if not any(p.exists() for p in (run.config_path, run.manifest_path, run.metrics_path)):
            raise ConfigError(
                f"{path} is not a run directory: it has no config.yaml, manifest.json or "
                "metrics.jsonl"
            )
        return run

    @property
    def is_begun(self) -> bool:
        """Whether a run has begun here: nothing is started before its manifest is written."""
        return self.manifest_path.exists()

    @property
    def is_free(self) -> bool:
        """Whether a run can begin here: nothing is there, or what a start leaves that was killed
        before its manifest was written."""
        if not self.path.exists():
            return True
        return self.path.is_dir() and all(map(_is_of_a_start, self.path.iterdir()))

    def validated_path(self, step: int, what: str) -> Path:
        """The "replies" or "probes" of the validation after a step, one JSON object a line."""
        return self.validation_path / f"step_{step}_{what}.jsonl"

    def append_metrics(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one step's metrics. NaN and infinity become null, named under "nonfinite"."""
        row: dict[str, Any] = {"step": int(step), "time": utc_now()}
        nonfinite = []
        for key, value in values.items():
            number = _as_number(key, value)
            if not math.isfinite(number):
                nonfinite.append(key)
            row[key] = number if math.isfinite(number) else None
        if nonfinite:
            row["nonfinite"] = nonfinite
        append_json_lines(self.metrics_path, [row])

    def append_samples(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append training replies worth reading, one JSON object a reply."""
        append_json_lines(self.samples_path, rows)

    def read_config(self) -> DictConfig:
        """The run's configuration. Raises ConfigError when it is missing or broken."""
        if not self.config_path.exists():
            raise ConfigError(f"{self.config_path} is missing; it is written when training starts")
        try:
            config = OmegaConf.load(self.config_path)
        except (OmegaConfBaseException, YAMLError, OSError) as error:
            raise ConfigError(f"{self.config_path}: {str(error).splitlines()[0]}") from error
        if not isinstance(config, DictConfig) or "mint" not in config:
            raise ConfigError(f"{self.config_path} has no node 'mint'")
        return config

    def read_metrics(self) -> list[dict[str, Any]]:
        """One row a step, ascending, as `by_step`. Raises DataError for a row without a step."""
        rows = read_json_lines(self.metrics_path)
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, dict) or not isinstance(row.get("step"), int):
                raise DataError(f"{self.metrics_path}:{number}: a metrics row needs a whole 'step'")
        return by_step(rows)

    def read_samples(self) -> list[dict[str, Any]]:
        """Rows of samples.jsonl in the order they were written; [] when there is none.

        Of a step that an interrupted run has trained twice, those of the later time.
        """
        rows = read_json_lines(self.samples_path)
        times = Counter(row["step"] for row in read_json_lines(self.metrics_path))
        number = Counter(row.get("step") for row in rows)
        kept: list[dict[str, Any]] = []
        seen: Counter[Any] = Counter()
        for row in rows:
            step = row.get("step")
            seen[step] += 1
            if seen[step] > number[step] - number[step] // max(1, times[step]):
                kept.append(row)
        return kept

    def left_out(self) -> dict[str, int]:
        """File name -> broken last lines that its readers leave out, where there are any."""
        paths = (self.metrics_path, self.samples_path, self.quarantine_path, self.validations_path)
        counts = {path.name: read_json_lines_counted(path)[1] for path in paths}
        return {name: count for name, count in counts.items() if count}

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other trainings out of the folder, until the process ends at the latest.

        Raises ConfigError when another one is at work in it.
        """
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(folder)
            raise ConfigError(
                f"another process is training in {self.path}; wait for it or end it"
            ) from error
        except OSError:
            pass  # a file system without locks
        try:
            yield
        finally:
            os.close(folder)


def _is_of_a_start(path: Path) -> bool:
    if path.name in ("logs", "evaluation"):
        return path.is_dir() and not any(path.iterdir())
    return path.name == "config.yaml" or path.match(".*.tmp")


def _as_number(key: str, value: Any) -> float:
    if hasattr(value, "item"):
        value = value.item()
    if value is None:
        return math.nan
    if isinstance(value, bool | int | float):
        return value
    raise DataError(f"metric {key!r} must be a number, got {type(value).__name__} {value!r:.60}")


def by_step(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl, one a step, ascending; a step logged twice (resumed run) keeps the
    later values."""
    steps: dict[int, dict[str, Any]] = {}
    for row in rows:
        steps[row["step"]] = {**steps.setdefault(row["step"], {}), **row}
    return [steps[step] for step in sorted(steps)]
