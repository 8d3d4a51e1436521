"""What does not fit, and the nearest change that does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from mint.machine.limits import GIB
from mint.planning.cores import core_items
from mint.planning.disk import disk_items
from mint.planning.host import host_items
from mint.planning.items import Moment, peak, total
from mint.planning.memory import engine_room, gpu_moments
from mint.planning.models import ModelShape
from mint.planning.settings import RunSettings

_STEP = 2048
"""Grain of a token limit that is proposed."""
_MOST_GPUS = 64


class Limits(NamedTuple):
    """What is there; None: not known, so nothing is refused for it."""

    gpu_total: float | None = None
    """Memory of a GPU, GiB: what vLLM takes its share of."""
    gpu_free: float | None = None
    """What is free of it."""
    host: float | None = None
    """Free memory of a host, GiB."""
    disk: float | None = None
    """Free room where the run is written, GiB."""
    cores: int | None = None
    """Of a host."""


class Problem(NamedTuple):
    """One thing that does not fit."""

    what: str
    remedy: str

    def line(self) -> str:
        """In one line."""
        return f"{self.what}; {self.remedy}"


class Change(NamedTuple):
    """A setting that would be changed, and how the command line says it."""

    override: str
    values: dict[str, Any]


def problems(
    run: RunSettings, model: ModelShape | None, steps: int | None, limits: Limits
) -> list[Problem]:
    """Everything that does not fit."""
    found = [_cores(run, limits)]
    if model is not None:
        found += [
            _gpu(run, model, limits),
            _host(run, model, limits),
            _disk(run, model, steps, limits),
        ]
    return [problem for problem in found if problem is not None]


def gpu_overflow(run: RunSettings, model: ModelShape, limits: Limits) -> Moment | None:
    """The fullest moment when it is more than what a GPU has, else None."""
    if run.cpu or limits.gpu_total is None:
        return None
    free = limits.gpu_free if limits.gpu_free is not None else limits.gpu_total
    top = peak(gpu_moments(run, model, limits.gpu_total))
    return top if top.total > free else None


def _short_cache(run: RunSettings, model: ModelShape, limits: Limits) -> str | None:
    """Words when vLLM's share does not hold the keys and values of one whole sequence."""
    if run.cpu or limits.gpu_total is None:
        return None
    room = engine_room(run, model, limits.gpu_total)[-1].value
    whole = run.max_prompt + run.max_reply
    needed = whole * model.kv_bytes / run.tensor_parallel / GIB
    if room >= needed:
        return None
    return (
        f"vLLM's share ({run.engine_share:.0%} of {limits.gpu_total:.0f} GiB) leaves {room:.1f} "
        f"GiB for keys and values, one sequence of {whole:,} tokens needs {needed:.1f}"
    )


def _gpu(run: RunSettings, model: ModelShape, limits: Limits) -> Problem | None:
    over, short = gpu_overflow(run, model, limits), _short_cache(run, model, limits)
    if over is None and short is None:
        return None

    def works(other: RunSettings) -> bool:
        return not (gpu_overflow(other, model, limits) or _short_cache(other, model, limits))

    remedy = _nearest(run, list(_gpu_changes(run, model, limits)), works)
    if over is None:
        return Problem(f"not enough GPU memory: {short}", remedy)
    free = limits.gpu_free if limits.gpu_free is not None else limits.gpu_total
    items = sorted(over.items, key=lambda item: -item.value)[:4]
    words = ", ".join(f"{item.name} {item.value:.1f}" for item in items)
    what = (
        f"not enough GPU memory: the {over.name} needs {over.total:.1f} GiB a GPU ({words}, ...), "
        f"{free:.1f} are there"
    )
    return Problem(what, remedy)


def _gpu_changes(run: RunSettings, model: ModelShape, limits: Limits) -> Iterator[Change]:
    """Single changes, the gentlest first."""
    node = "actor_rollout_ref."
    if not run.fused_optimizer and not run.offload_policy:
        key = f"{node}actor.optim.override_optimizer_config"
        yield Change(f"{key}={{fused: true}}", {"fused_optimizer": True})
    whole = run.max_prompt + run.max_reply
    least = -(-whole // _STEP) * _STEP
    for tokens in range(run.update_tokens // _STEP * _STEP, least - 1, -_STEP):
        if tokens < run.update_tokens:
            limit = min(tokens, run.old_tokens), min(tokens, run.reference_tokens)
            values = {"old_tokens": limit[0], "reference_tokens": limit[1]}
            override = f"{node}actor.ppo_max_token_len_per_gpu={tokens}"
            yield Change(override, {"update_tokens": tokens, **values})
    for percent in range(95, 15, -5):
        if percent / 100 != run.engine_share:
            override = f"{node}rollout.gpu_memory_utilization={percent / 100:g}"
            yield Change(override, {"engine_share": percent / 100})
    if not (run.param_offload and run.optimizer_offload) and not run.offload_policy:
        key = f"{node}actor.fsdp_config."
        yield Change(
            f"{key}param_offload=true {key}optimizer_offload=true",
            {"param_offload": True, "optimizer_offload": True},
        )


def _nearest(run: RunSettings, changes: list[Change], works: Callable[[RunSettings], bool]) -> str:
    """The first single change that works, then the first pair, then more GPUs, then LoRA."""
    for size in (1, 2, 3):
        for chosen in itertools.combinations(changes, size):
            keys = [key for change in chosen for key in change.values]
            if len(keys) == len(set(keys)) and works(_with(run, chosen)):
                return "set " + " ".join(change.override for change in chosen)
        if size == 2 and len(changes) > 60:
            break
    for gpus in _counts(run):
        more = replace(run, ranks_per_node=gpus)
        for change in (Change("", {}), *changes):
            if works(_with(more, (change,))):
                words = f"use {gpus} GPUs: trainer.n_gpus_per_node={gpus} {change.override}"
                return words.rstrip()
    if not run.lora_rank and works(replace(run, lora_rank=32, optimizer_offload=False)):
        return "train LoRA (actor_rollout_ref.model.lora_rank): +hardware=lora"
    return "use a smaller model (actor_rollout_ref.model.path) or GPUs with more memory"


def _counts(run: RunSettings) -> Iterator[int]:
    """Larger numbers of GPUs a node that the batch can be split over."""
    gpus = run.ranks_per_node + 1
    while gpus <= _MOST_GPUS:
        if gpus & (gpus - 1) == 0 and (run.mini_batch * run.replies) % (gpus * run.nodes) == 0:
            yield gpus
        gpus += 1


def _with(run: RunSettings, changes: tuple[Change, ...]) -> RunSettings:
    values: dict[str, Any] = {}
    for change in changes:
        values |= change.values
    return replace(run, **values)


def _host(run: RunSettings, model: ModelShape, limits: Limits) -> Problem | None:
    if limits.host is None or total(host_items(run, model)) <= limits.host:
        return None
    items = host_items(run, model)
    words = ", ".join(f"{i.name} {i.value:.1f}" for i in sorted(items, key=lambda i: -i.value)[:4])
    what = (
        f"not enough memory: this run needs about {total(items):.1f} GiB on each host ({words}), "
        f"{limits.host:.1f} GiB are available"
    )
    node, changes = "actor_rollout_ref.", []
    if not run.cpu and run.reference and run.reference_bytes > 2 and not run.lora_rank:
        override = f"{node}ref.fsdp_config.model_dtype=bf16"
        changes.append(Change(override, {"reference_bytes": 2}))
    if run.cpu and run.update_tokens > run.max_prompt + run.max_reply:
        least = run.max_prompt + run.max_reply
        override = f"{node}actor.ppo_max_token_len_per_gpu={least}"
        changes.append(Change(override, {"update_tokens": least}))
    if not run.cpu and run.optimizer_offload:
        values = {"param_offload": False, "optimizer_offload": False}
        key = f"{node}actor.fsdp_config."
        override = f"{key}param_offload=false {key}optimizer_offload=false"
        change = Change(override, values)
        if gpu_overflow(_with(run, (change,)), model, limits) is None:
            changes.append(change)
    host = limits.host
    for size in (1, 2):
        for chosen in itertools.combinations(changes, size):
            if total(host_items(_with(run, chosen), model)) <= host:
                return Problem(what, "set " + " ".join(change.override for change in chosen))
    return Problem(what, "use a smaller model (actor_rollout_ref.model.path) or free memory")


def _disk(run: RunSettings, model: ModelShape, steps: int | None, limits: Limits) -> Problem | None:
    items = disk_items(run, model, steps)
    if limits.disk is None or total(items) <= limits.disk:
        return None
    words = ", ".join(f"{item.name} {item.value:.1f}: {item.formula}" for item in items)
    digits = 0 if total(items) >= 10 else 1
    what = (
        f"not enough disk: this run fills up to {total(items):.{digits}f} GiB ({words}), "
        f"{limits.disk:.{digits}f} GiB are free"
    )
    for kept in range((run.kept or 4) - 1, 0, -1):
        if total(disk_items(replace(run, kept=kept), model, steps)) <= limits.disk:
            return Problem(what, f"set trainer.max_actor_ckpt_to_keep={kept}")
    return Problem(what, "choose another mint.run.dir, or save less often (trainer.save_freq)")


def _cores(run: RunSettings, limits: Limits) -> Problem | None:
    cores = run.logical_cores if run.logical_cores is not None else limits.cores
    if cores is None or run.cluster is not None:
        return None
    here = replace(run, nodes=1) if run.nodes > 1 else run
    items = core_items(here)
    if total(items) <= cores:
        return None
    words = " + ".join(f"{item.name} {item.value:.0f}" for item in items)
    what = (
        f"not enough cores: verl books {total(items):.0f} ({words}) and would wait for ever, Ray "
        f"has {cores}"
    )
    for units in range(run.queue_units - 1, 0, -1):
        if total(core_items(replace(here, queue_units=units))) <= cores:
            key = "transfer_queue.backend.SimpleStorage.num_data_storage_units"
            return Problem(what, f"set {key}={units}")
    return Problem(what, f"set ray_kwargs.ray_init.num_cpus={total(items):.0f} (cores are shared)")
