"""All figures of a run together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from mint.config.schema import MintConfig
from mint.planning.batch import Batch, batch
from mint.planning.cores import core_items
from mint.planning.cost import gpu_hours, run_items
from mint.planning.disk import disk_items
from mint.planning.fits import Limits, Problem, problems
from mint.planning.graders import GraderLoad, grader_load
from mint.planning.hardware import GpuModel
from mint.planning.host import host_items
from mint.planning.items import Item, Moment, total
from mint.planning.lengths import Lengths, lengths_of
from mint.planning.measured import Measured, scale_of
from mint.planning.memory import engine_room, gpu_moments
from mint.planning.models import SMOL, ModelShape, shape_of, tiny_shape
from mint.planning.settings import RunSettings, settings_of
from mint.planning.time import Speed, step_items
from mint.policy.settings import TinySettings

PUBLISHED_ROWS = 1_543
"""Training rows of the published set, where a run's own are not there."""
NOTHING_KNOWN = Limits()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is expected to be and to take; memory and disk in GiB, times in seconds."""

    run: RunSettings
    model: ModelShape | None
    """None: nothing says its shape, so only the batches are known."""
    gpu: GpuModel | None
    lengths: Lengths
    batch: Batch
    moments: tuple[Moment, ...]
    """Memory of a GPU, part by part; () on a CPU."""
    engine: tuple[Item, ...]
    host: tuple[Item, ...]
    disk: tuple[Item, ...]
    cores: tuple[Item, ...]
    graders: GraderLoad
    step: tuple[Item, ...]
    """Parts of a step; () where the GPU's speed is not known."""
    stages: tuple[Item, ...]
    price_per_hour: float | None
    limits: Limits
    problems: tuple[Problem, ...]

    @property
    def hours(self) -> float:
        """Of the whole run."""
        return total(self.stages) / 3600

    @property
    def gpu_hours(self) -> float:
        """Of all GPUs together."""
        return gpu_hours(self.run, total(self.stages))


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What a configuration does not say."""

    gpu: GpuModel | None = None
    cores: int = 2
    """Of a host, where the graders and a CPU run compute."""
    limits: Limits = NOTHING_KNOWN
    price_per_hour: float | None = None
    """Of one GPU."""
    reply_tokens: float | None = None
    rows: int | None = None
    scale: dict[str, float] | None = None
    start_s: float | None = None
    """Of a measured run, until its first step was over."""


def make_plan(config: DictConfig, mint: MintConfig, given: Assumptions) -> Plan:
    """The plan of a composed configuration. Raises ConfigError for files that cannot be used."""
    run = settings_of(config, mint)
    model = model_of(config, mint)
    chat = config.data.apply_chat_template_kwargs
    lengths = lengths_of(
        Path(str(config.data.train_files)),
        Path(str(config.data.val_files)),
        str(config.actor_rollout_ref.model.path),
        run,
        OmegaConf.to_container(chat, resolve=True) if chat else {},  # type: ignore[arg-type]
        given.reply_tokens,
    )
    rows = given.rows
    if rows is None and lengths.rows is None and mint.data.source == "prepared":
        rows = PUBLISHED_ROWS
    if rows is not None:
        said = f"{lengths.source}, {rows:,} rows assumed"
        lengths = lengths._replace(rows=rows, kept=rows, source=said)
    return plan_of(run, model, lengths, given)


def plan_of(
    run: RunSettings, model: ModelShape | None, lengths: Lengths, given: Assumptions
) -> Plan:
    """The plan of settings, a shape and lengths: arithmetic alone."""
    sums = batch(run, lengths)
    graders = grader_load(run, lengths, _threads(run, given))
    step: tuple[Item, ...] = ()
    stages: tuple[Item, ...] = ()
    host: tuple[Item, ...] = ()
    disk: tuple[Item, ...] = ()
    engine: tuple[Item, ...] = ()
    moments: tuple[Moment, ...] = ()
    if model is not None:
        host, disk = host_items(run, model), disk_items(run, model, sums.steps)
        if not run.cpu and given.limits.gpu_total is not None:
            moments = gpu_moments(run, model, given.limits.gpu_total)
            engine = engine_room(run, model, given.limits.gpu_total)
        if run.cpu or given.gpu is not None:
            speed = Speed(None if run.cpu else given.gpu, given.cores, given.scale or {})
            step = step_items(run, model, lengths, sums, graders, speed)
        if step and sums.steps is not None:
            stages = run_items(run, model, lengths, sums.steps, step, given.start_s)
    return Plan(
        run=run,
        model=model,
        gpu=None if run.cpu else given.gpu,
        lengths=lengths,
        batch=sums,
        moments=moments,
        engine=engine,
        host=host,
        disk=disk,
        cores=core_items(run),
        graders=graders,
        step=step,
        stages=stages,
        price_per_hour=given.price_per_hour,
        limits=given.limits,
        problems=tuple(problems(run, model, sums.steps, given.limits)),
    )


def model_of(config: DictConfig, mint: MintConfig) -> ModelShape | None:
    """Shape of the run's model, also of the policy that it will build."""
    path = str(config.actor_rollout_ref.model.path)
    found = shape_of(path)
    if found is not None or path != mint.policy.path:
        return found
    return {"tiny": tiny_shape(TinySettings()), "smol": shape_of(SMOL)}.get(mint.policy.build)


def calibrated(
    config: DictConfig, mint: MintConfig, measured: Measured, given: Assumptions
) -> dict[str, float]:
    """Part of a step -> measured over computed seconds, of a finished run's own configuration."""
    run, model = settings_of(config, mint), model_of(config, mint)
    if model is None:
        return {}
    lengths = Lengths(
        None, None, measured.prompt_tokens, None, measured.reply_tokens, "as measured"
    )
    sums = batch(run, lengths)
    graders = grader_load(run, lengths, _threads(run, given))
    speed = Speed(None if run.cpu else given.gpu, given.cores, {})
    if not run.cpu and given.gpu is None:
        return {}
    return scale_of(measured, step_items(run, model, lengths, sums, graders, speed))


def _threads(run: RunSettings, given: Assumptions) -> int:
    """Ray gives a worker one thread where nothing is set; a CPU run gives it the cores."""
    if run.grader_threads is not None:
        return run.grader_threads
    return given.cores if run.cpu else 1
