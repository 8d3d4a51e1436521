"""A plan as text, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from mint.planning.cores import core_items
from mint.planning.items import Item, peak, total
from mint.planning.plan import Plan


def text(plan: Plan, model: str) -> list[str]:
    """The whole plan: words, then a table a subject. `model`: its path or name."""
    return [*words(plan, model), *tables(plan), *verdict(plan)]


def words(plan: Plan, model: str) -> list[str]:
    """The run in a few lines."""
    run, lengths = plan.run, plan.lengths
    shape = plan.model
    known = (
        "of unknown shape: memory and time cannot be told"
        if shape is None
        else (
            f"({shape.parameters / 1e6:.1f}M parameters, {shape.layers} layers of width "
            f"{shape.hidden:,}{f', LoRA rank {run.lora_rank}' if run.lora_rank else ''})"
        )
    )
    lines = [
        f"model      {model} {known}",
        f"machine    {_machine(plan)}",
        f"batch      {run.prompts} prompts x {run.replies} replies = {run.all_replies} a step, "
        f"{run.updates} update{'s' if run.updates > 1 else ''}",
        f"lengths    prompt <= {run.max_prompt}, reply <= {run.max_reply} tokens; {lengths.source}",
    ]
    if lengths.rows is not None and lengths.kept is not None:
        left = lengths.rows - lengths.kept
        lines.append(
            f"prompts    {lengths.kept:,} of {lengths.rows:,} fit"
            + (f"; {left:,} are longer and are left out" if left else "")
        )
    if plan.batch.steps is not None:
        lines.append(f"steps      {_steps(plan)}")
    if run.validate_every is not None:
        lines.append(f"validation every {run.validate_every} steps and at the end")
    return lines


def tables(plan: Plan) -> list[str]:
    """A table a subject, each number with its formula."""
    lines = _table("Batches", plan.batch.items, whole=True)
    lines += _gpu_table(plan)
    if plan.engine:
        lines += _table("vLLM's share of it, GiB", plan.engine)
    lines += _table("Memory of each host, GiB", plan.host, plan.limits.host)
    lines += _table("Disk, GiB", plan.disk, plan.limits.disk)
    cores = plan.run.logical_cores if plan.run.logical_cores is not None else plan.limits.cores
    logical = "Logical cores" if plan.run.logical_cores is not None else "Cores"
    lines += _table(f"{logical} that Ray books", core_items(plan.run), cores, whole=True)
    lines += _table("Graders, a step", plan.graders.items, whole=True)
    lines += _table("One step, seconds", plan.step)
    return lines + _table("The run, seconds", plan.stages)


def verdict(plan: Plan) -> list[str]:
    """Time and money of the run."""
    if not plan.step:
        why = "its shape is not known" if plan.model is None else "the GPU is not known (gpu=NAME)"
        return ["", f"Time is not estimated: {why}."]
    said = f"about {total(plan.step):.0f} s a step"
    if plan.stages:
        said += f", {_duration(plan.hours)} in all"
        if not plan.run.cpu:
            said += f", {plan.gpu_hours:.1f} GPU-hours"
            if plan.price_per_hour is not None:
                cost = plan.gpu_hours * plan.price_per_hour
                said += f", {cost:,.2f} at {plan.price_per_hour:g} a GPU-hour"
    return ["", f"Time: {said}."]


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan for programs."""

    def rows(items: Iterable[Item]) -> list[dict[str, Any]]:
        return [item._asdict() for item in items]

    return {
        "settings": asdict(plan.run),
        "model": None if plan.model is None else asdict(plan.model),
        "gpu": None if plan.gpu is None else asdict(plan.gpu),
        "lengths": plan.lengths._asdict(),
        "batch": rows(plan.batch.items),
        "gpu_memory_gib": {m.name: rows(m.items) for m in plan.moments},
        "gpu_memory_peak_gib": peak(plan.moments).total if plan.moments else None,
        "engine_gib": rows(plan.engine),
        "host_memory_gib": rows(plan.host),
        "disk_gib": rows(plan.disk),
        "cores": rows(plan.cores),
        "graders": rows(plan.graders.items),
        "step_s": rows(plan.step),
        "run_s": rows(plan.stages),
        "gpu_hours": plan.gpu_hours if plan.stages and not plan.run.cpu else None,
        "cost": plan.gpu_hours * plan.price_per_hour
        if plan.stages and plan.price_per_hour is not None
        else None,
        "problems": [problem._asdict() for problem in plan.problems],
    }


def _machine(plan: Plan) -> str:
    run = plan.run
    if run.cpu:
        return f"{run.ranks} rank{'s' if run.ranks > 1 else ''} on the processor"
    name = "GPU" if plan.gpu is None else plan.gpu.name
    memory = plan.limits.gpu_total
    each = "" if memory is None else f" of {memory:.0f} GiB"
    nodes = f" on {run.nodes} nodes" if run.nodes > 1 else ""
    return f"{run.ranks} x {name}{each}{nodes}"


def _steps(plan: Plan) -> str:
    epochs = [item for item in plan.batch.items if item.name == "epochs"]
    said = f"{plan.batch.steps}"
    return said + (
        f" ({epochs[0].value:.1f} epochs x {plan.batch.steps_an_epoch})" if epochs else ""
    )


def _gpu_table(plan: Plan) -> list[str]:
    if not plan.moments:
        return []
    top = peak(plan.moments)
    there = plan.limits.gpu_free if plan.limits.gpu_free is not None else plan.limits.gpu_total
    lines = ["", f"Memory of each GPU, GiB ({there:.1f} there)"]
    for moment in plan.moments:
        mark = "  <- the most" if moment is top else ""
        lines.append(f"  {moment.name:<28}{moment.total:>8.1f}{mark}")
    lines += _table(f"The {top.name}, GiB", top.items)
    return lines


def _table(
    title: str, items: Sequence[Item], there: float | None = None, *, whole: bool = False
) -> list[str]:
    """Title, a line an item, and a sum where all have one unit."""
    if not items:
        return []
    known = "" if there is None else f" ({there:,.0f} there)"
    lines = ["", f"{title}{known}", *(line for item in items for line in _row(item, whole))]
    if not whole or there is not None:
        sum_ = total(items)
        lines.append(
            f"  {'together':<28}{sum_:>10,.0f}" if whole else f"  {'together':<28}{sum_:>8.1f}"
        )
    return lines


def _row(item: Item, whole: bool) -> Iterator[str]:
    number = f"{item.value:>10,.0f}" if whole else f"{item.value:>8.1f}"
    if whole and item.value != round(item.value):
        number = f"{item.value:>10,.1f}"
    yield f"  {item.name:<28}{number}  {item.formula}"


def _duration(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 1.5 else f"{hours:.1f} h"
