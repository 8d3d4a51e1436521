"""What a plan assumes: the machine it is made on, or the one that is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from mint.config.schema import mint_config
from mint.machine.facts import Machine, disk, folder_gib
from mint.planning.fits import Limits
from mint.planning.hardware import GpuModel, gpu_named, gpu_of_machine
from mint.planning.measured import read_measured
from mint.planning.plan import Assumptions, calibrated
from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there
from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Given:
    """What was said about a machine that may not be this one; None: as it is here."""

    gpu: str | None = None
    cores: int | None = None
    host_gib: float | None = None
    disk_gib: float | None = None
    price_per_hour: float | None = None
    reply_tokens: float | None = None
    rows: int | None = None


def assumptions(said: Given, machine: Machine, config: DictConfig) -> Assumptions:
    """What to plan with. A named GPU means another machine, of which only what is said counts."""
    cpu = str(config.trainer.device) == "cpu"
    elsewhere = said.gpu is not None or (not cpu and not machine.gpus)
    gpu, limits = None, Limits()
    if not elsewhere:
        gpu, limits = _here(machine, config, cpu)
    elif said.gpu is not None:
        gpu = gpu_named(said.gpu)
        limits = Limits(gpu_total=gpu.gib)
    limits = limits._replace(
        cores=said.cores if said.cores is not None else limits.cores,
        host=said.host_gib if said.host_gib is not None else limits.host,
        disk=said.disk_gib if said.disk_gib is not None else limits.disk,
    )
    return Assumptions(
        gpu=gpu,
        cores=limits.cores if limits.cores is not None else machine.cores,
        limits=limits,
        price_per_hour=said.price_per_hour,
        reply_tokens=said.reply_tokens,
        rows=said.rows,
    )


def _here(machine: Machine, config: DictConfig, cpu: bool) -> tuple[GpuModel | None, Limits]:
    """This machine: the GPUs that the run would take, the first ones."""
    run = RunDir(Path(str(config.mint.run.dir)))
    # The checkpoints of a run that goes on are a part of what it fills.
    room = disk(run.path).free_gib + folder_gib(run.checkpoints_path)
    limits = Limits(host=machine.memory.available_gib, disk=room, cores=machine.cores)
    if cpu:
        return None, limits
    taken = machine.gpus[: int(config.trainer.n_gpus_per_node)]
    total = min(gpu.total_gib for gpu in taken)
    limits = limits._replace(gpu_total=total, gpu_free=min(gpu.free_gib for gpu in taken))
    return gpu_of_machine(taken[0].name, total), limits


def corrected(given: Assumptions, run: Path) -> Assumptions:
    """The same with the times and lengths of a run. Raises ConfigError where it has none."""
    directory = RunDir.open(run)
    manifest = read_json_if_there(directory.manifest_path) or {}
    starts = {0, *(attempt["from_step"] for attempt in manifest.get("attempts", ()))}
    measured = read_measured(directory.read_metrics(), starts)
    if measured is None:
        raise ConfigError(
            f"run={run} has no two steps of one start with times in {directory.metrics_path}"
        )
    config = OmegaConf.load(directory.config_path)
    assert isinstance(config, DictConfig)
    scale = calibrated(config, mint_config(config), measured, given)
    if not scale:
        raise ConfigError(f"run={run}: its model or its GPU is not known, so it corrects nothing")
    tokens = given.reply_tokens if given.reply_tokens is not None else measured.reply_tokens
    start = sum(manifest.get("start_s", {}).values()) or None
    return replace(given, scale=scale, reply_tokens=tokens, start_s=start)
