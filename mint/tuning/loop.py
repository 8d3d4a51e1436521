"""The loop: AdamW with warm-up and cosine, clipping, accumulation, early stop, checkpoints, resume.

Every step seeds torch's random state by its number, so a run that goes on from a checkpoint makes
the steps that it would have made.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from mint.rundir.directory import RunDir
from mint.shell.console import progress_bar, say
from mint.shell.files import read_json_if_there, write_json
from mint.tuning import checkpoint
from mint.tuning.schedule import rate
from mint.tuning.settings import LoopSettings
from mint.tuning.task import Measured, Task
from rewards.errors import ConfigError, MintError

DEV = "dev/"
"""Begins the metrics of the dev split."""
BETAS = (0.9, 0.999)


class TuningError(MintError, RuntimeError):
    """Training broke although its input was good."""


class Tuned(NamedTuple):
    """How a loop has ended."""

    step: int
    """The last step made."""
    total: int
    """How many there were to make."""
    best_step: int
    """The one with the best score, which the module is at now."""
    stopped: str
    """Why it ended before `total`; "" otherwise."""
    saved: bool
    """It was asked to save and end: there is more to do, and the module is at `step`."""


class _Best(NamedTuple):
    step: int
    score: float
    since: int
    """Measurements since without a better one."""


def tune(
    run: RunDir,
    task: Task,
    settings: LoopSettings,
    seed: int,
    asked_to_end: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Train to the end, from the newest checkpoint of the run where there is one.

    RUN/metrics.jsonl gets a row a step, RUN/best.json the best measured one. Raises ConfigError
    when there is nothing to train, TuningError when the loss is not a finite number.
    """
    loop = _Loop(run, task, settings, seed)
    return loop.run(asked_to_end)


def steps_of(settings: LoopSettings, an_epoch: int) -> int:
    """How many steps a run has whose epochs have `an_epoch`. Raises ConfigError for none."""
    if an_epoch < 1:
        raise ConfigError("there is nothing to train on: an epoch has no step; see batch.size")
    wanted = max(1, round(settings.epochs * an_epoch))
    return wanted if settings.max_steps is None else min(wanted, settings.max_steps)


class _Loop:
    def __init__(self, run: RunDir, task: Task, settings: LoopSettings, seed: int) -> None:
        self._run, self._task, self._settings, self._seed = run, task, settings, seed
        self._an_epoch = len(task.steps(0))
        self._total = steps_of(settings, self._an_epoch)
        self._every = settings.every_steps or max(1, math.ceil(self._total / 4))
        self._optimizer = make_optimizer(task.module, settings)
        self._step = 0
        self._best: _Best | None = None

    def run(self, asked_to_end: Callable[[], bool]) -> Tuned:
        self._go_on()
        stopped, saved = self._why_end(), False
        with progress_bar() as progress:
            bar = progress.add_task("training", total=self._total, completed=self._step)
            if not self._step:
                self._measure()  # where it begins
            for step in () if stopped else self._left():
                row = self._make(step)
                progress.update(bar, completed=self._step, description=_words(row))
                saved = asked_to_end() and self._step < self._total
                due = self._step % self._every == 0 or self._step == self._total
                if due:
                    self._measure()
                if saved or due:
                    self._save()
                if saved:
                    break
                if stopped := self._why_end():
                    break
        best = self._step if saved or self._best is None else self._best.step
        if best != self._step:
            checkpoint.load(checkpoint.checkpoints(self._run.checkpoints_path)[best], self._module)
        return Tuned(self._step, self._total, best, stopped, saved)

    @property
    def _module(self) -> torch.nn.Module:
        return self._task.module

    def _go_on(self) -> None:
        newest = list(checkpoint.checkpoints(self._run.checkpoints_path).items())[-1:]
        for step, path in newest:
            checkpoint.load(path, self._module, self._optimizer)
            self._step = step
            best = read_json_if_there(self._run.best_path)
            if best is not None:
                self._best = _Best(best["step"], best["score"], best["since"])
            say(f"going on from step {step} of {self._total}")

    def _left(self) -> Iterator[Any]:
        """The steps that are left to make, epoch after epoch."""
        for number in range(self._step, self._total):
            epoch, place = divmod(number, self._an_epoch)
            if place == 0 or number == self._step:
                steps = self._task.steps(epoch)
            yield steps[place]

    def _make(self, step: Any) -> dict[str, float]:
        """One optimiser step; returns its metrics."""
        began = time.perf_counter()
        self._step += 1
        torch.manual_seed(self._seed * 1_000_003 + self._step)
        share = rate(
            self._step,
            self._total,
            warmup=self._settings.warmup,
            final=self._settings.final_lr,
        )
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.lr * share
        sums: dict[str, float] = defaultdict(float)
        self._module.train()
        for piece in self._task.shares(step):
            piece.loss.backward()
            sums["train/loss"] += float(piece.loss.detach())
            for name, value in piece.metrics.items():
                sums[f"train/{name}"] += value
        if not math.isfinite(sums["train/loss"]):
            raise TuningError(
                f"the loss of step {self._step} is {sums['train/loss']}; lower loop.lr "
                f"(now {self._settings.lr}) or train in model.dtype=float32"
            )
        norm = torch.nn.utils.clip_grad_norm_(
            checkpoint.trained(self._module).values(), self._settings.clip
        )
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        took = time.perf_counter() - began
        row = {
            **sums,
            "optim/grad_norm": float(norm),
            "optim/lr": self._settings.lr * share,
            "optim/epoch": self._step / self._an_epoch,
            "time/step_s": took,
        }
        self._run.append_metrics(self._step, row)
        return row

    def _save(self) -> None:
        """Save, keep the newest and the best checkpoint."""
        folder = self._run.checkpoints_path
        folder.mkdir(exist_ok=True)
        checkpoint.save(folder, self._step, self._module, self._optimizer)
        if self._best is None:
            checkpoint.keep(folder, {self._step})
            return
        write_json(self._run.best_path, {**self._best._asdict(), "reason": "best on the dev split"})
        checkpoint.keep(folder, {self._step, self._best.step})

    def _measure(self) -> None:
        measured = measure(self._task)
        self._run.append_metrics(
            self._step,
            {f"{DEV}{name}": value for name, value in measured.metrics.items()}
            | {f"{DEV}score": measured.score},
        )
        self._say(measured)
        if self._step == 0:
            return  # nothing to keep: no checkpoint
        if self._best is None or measured.score > self._best.score:
            self._best = _Best(self._step, measured.score, 0)
        else:
            self._best = self._best._replace(since=self._best.since + 1)

    def _say(self, measured: Measured) -> None:
        values = "  ".join(
            f"{name} {'-' if value is None else format(value, '.3f')}"
            for name, value in measured.metrics.items()
        )
        say(f"step {self._step:>4}/{self._total}  dev: {values}  score {measured.score:.4f}")

    def _why_end(self) -> str:
        patience = self._settings.patience
        if patience is None or self._best is None or self._best.since < patience:
            return ""
        return f"no better dev score in {patience} measurements since step {self._best.step}"


@torch.no_grad()
def measure(task: Task) -> Measured:
    """What a task measures, in evaluation mode."""
    task.module.eval()
    return task.measure()


def make_optimizer(module: torch.nn.Module, settings: LoopSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) over what is trained; only matrices decay."""
    parameters = list(checkpoint.trained(module).values())
    if not parameters:
        raise ConfigError("nothing is trained: no parameter has a gradient; see model.adapter")
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=BETAS, fused=True)


def _words(row: dict[str, float]) -> str:
    return f"training, loss {row['train/loss']:.3f}, {row['time/step_s']:.1f} s a step"
