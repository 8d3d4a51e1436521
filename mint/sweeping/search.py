"""A search by Optuna: NSGA-II proposes settings, the sweep's driver runs them.

Optuna is only asked and told; what it knows lies in a journal file of the sweep's folder, so that a
search that was ended, or killed, goes on. A trial that fails is not told: it is tried again when
the search is started again.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from mint.config import compose
from mint.config.schema import mint_config
from mint.reporting.comparison.labels import is_seed
from mint.rundir.directory import RunDir
from mint.shell.console import say
from mint.sweeping import record as states
from mint.sweeping.jobs import Grid, Job, compose_jobs, key_of
from mint.sweeping.outcome import outcome_of
from mint.sweeping.record import Record
from rewards.errors import ConfigError

JOURNAL = "optuna.jsonl"
_GOALS = {"empathy": "maximize", "off_lift": "minimize", "unsafe": "minimize"}
_POPULATION = 50
"""Of NSGA-II, and its default; a short search gets a smaller one, or it would be all chance."""


def require_optuna() -> Any:
    """The package. Raises ConfigError when it is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError(
            "--search needs optuna, which is not installed: pip install 'mint-empathy[search]'"
        )
    optuna = importlib.import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class Search:
    """Trials as jobs: a `Source` for the driver. Raises ConfigError for what cannot be searched."""

    def __init__(self, grid: Grid, trials: int, record: Record) -> None:
        self._optuna = require_optuna()
        self._grid = grid
        self._trials = trials
        self._record = record
        self._again: list[Job] = []
        self._study: Any = None
        if not grid.swept:
            raise ConfigError(
                "--search has nothing to search over: give a key an interval, "
                "'mint.reward.kl=interval(0,2)', or values"
            )
        for key in grid.keys:
            if is_seed(key) or key == "recipe":
                raise ConfigError(f"{key} is nothing to search over; give it one value")

    @property
    def fixed(self) -> list[str]:
        """What makes it the same search when it is started again."""
        return [*self._grid.fixed, *(str(one.input_line) for one in self._grid.swept)]

    def corners(self) -> list[Job]:
        """Jobs at the ends of every interval and at every value, the other keys being in the middle
        of theirs: what is checked at the start."""
        middle = {key_of(one): _middle(one) for one in self._grid.swept}
        ends = {key_of(one): _ends(one) for one in self._grid.swept}
        tried = [middle, *({**middle, key: v} for key, vs in ends.items() for v in vs)]
        jobs = self._compose(tried, list(range(len(tried))))
        for job in jobs:
            if not mint_config(job.config).run.evaluate:
                raise ConfigError(
                    "--search needs mint.run.evaluate=true: it goes by held-out values"
                )
        return jobs

    def begin(self) -> None:
        """Open the journal, and take up what an earlier start has left."""
        rows = self._record.read()["jobs"]
        storages = importlib.import_module("optuna.storages")
        backend = importlib.import_module("optuna.storages.journal").JournalFileBackend
        storage = storages.JournalStorage(backend(str(self._record.folder / JOURNAL)))
        # Started again with the same seed it would propose the first settings once more.
        sampler = self._optuna.samplers.NSGAIISampler(
            population_size=min(_POPULATION, max(4, self._trials // 4)), seed=len(rows)
        )
        self._study = self._optuna.create_study(
            storage=storage,
            study_name="sweep",
            directions=[_GOALS[goal] for goal in self._goals],
            sampler=sampler,
            load_if_exists=True,
        )
        known = {row["trial"]: name for name, row in rows.items()}
        for trial in self._study.trials:
            if trial.state.is_finished():
                continue
            if trial.number in known:
                row = rows[known[trial.number]]
                self._again += self._compose([row["choices"]], [trial.number])
            else:  # killed between proposal and record
                self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)

    def next(self) -> Job | None:
        """See `mint.sweeping.driver.Source`."""
        if self._again:
            return self._again.pop(0)
        if len(self._record.read()["jobs"]) >= self._trials:
            return None
        trial = self._study.ask()
        choices = {key_of(one): _suggested(trial, one) for one in self._grid.swept}
        (job,) = self._compose([choices], [trial.number])
        self._record.add(job)
        return job

    def ended(self, job: Job, state: str) -> None:
        """See `mint.sweeping.driver.Source`."""
        if state != states.FINISHED:
            return
        outcome = outcome_of(RunDir(job.folder))
        values = [getattr(outcome, goal) for goal in self._goals]
        if None in values:
            say(f"[{job.label}] tells the search nothing: {outcome} has a value that is not known")
            return
        if not self._study.trials[job.trial].state.is_finished():
            self._study.tell(job.trial, values)

    @cached_property
    def _goals(self) -> list[str]:
        """Safety is one where the runs measure it."""
        middle = {key_of(one): _middle(one) for one in self._grid.swept}
        mint = mint_config(self._compose([middle], [0])[0].config)
        asked = mint.validation.every_steps is not None and mint.validation.probes_per_category > 0
        return [goal for goal in _GOALS if goal != "unsafe" or asked]

    def _compose(self, choices: Sequence[Mapping[str, str]], trials: Sequence[int]) -> list[Job]:
        lines = [self._line(one) for one in choices]
        return compose_jobs(lines, choices, self._record.folder, trials)

    def _line(self, choices: Mapping[str, str]) -> list[str]:
        return [
            f"{str(one.input_line).split('=', 1)[0]}={choices[key_of(one)]}"
            if one.is_sweep_override()
            else str(one.input_line)
            for one in self._grid.parsed
        ]


def _ends(override: Override) -> list[str]:
    """Both ends of an interval; all values of a list."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        return [_shown(value.start), _shown(value.end)]
    return compose.swept_values(override)


def _middle(override: Override) -> str:
    """The middle of an interval, by orders of magnitude where it is tagged log; else the first
    value."""
    value = override.value()
    if not isinstance(value, IntervalSweep):
        return compose.swept_values(override)[0]
    assert value.start is not None
    assert value.end is not None
    if isinstance(value.start, int):
        return _shown(int(value.start + value.end) // 2)
    between = (value.start * value.end) ** 0.5 if "log" in value.tags else None
    return _shown((value.start + value.end) / 2 if between is None else between)


def _suggested(trial: Any, override: Override) -> str:
    """The value that a trial is to take, as an override has it."""
    key, value = key_of(override), override.value()
    if isinstance(value, IntervalSweep):
        log = "log" in value.tags
        suggest = trial.suggest_int if isinstance(value.start, int) else trial.suggest_float
        return _shown(suggest(key, value.start, value.end, log=log))
    if isinstance(value, RangeSweep) and all(isinstance(v, int) for v in (value.start, value.step)):
        steps = [int(v) for v in compose.swept_values(override)]
        return str(trial.suggest_int(key, steps[0], steps[-1], step=int(value.step)))
    return str(trial.suggest_categorical(key, compose.swept_values(override)))


def _shown(value: float) -> str:
    """Four digits: what differs less is the same setting."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"
