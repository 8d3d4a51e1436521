"""The report of a benchmark as text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mint.bench.bootstrap import RESAMPLES, BootstrapFigures
from mint.bench.graders import GraderFigures
from mint.bench.stats import Spread, StepFigures
from mint.bench.work import Work

_WIDTH = 26
_LABEL = 34


def header(report: Mapping[str, Any]) -> list[str]:
    """Date, command, machine and versions."""
    machine = report["machine"]
    amx = "" if any(f.startswith("amx") for f in machine["cpu_flags"]) else "no amx"
    flags = ", ".join(filter(None, [" ".join(machine["cpu_flags"]), amx]))
    packages, revision = machine["packages"], machine["git"]
    names = [name for name in ("torch", "transformers", "verl", "vllm", "ray") if name in packages]
    dirty = " with changes" if revision and revision["dirty"] else ""
    source = f" at {revision['revision'][:12]}{dirty}" if revision else ""
    return [
        f"date      {report['date']}",
        f"command   {report['command']}",
        f"machine   {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['cpu']} "
        f"({flags}); load {report['load_at_start']:.1f} at the start",
        f"versions  mint {machine['mint']}{source}, python {machine['python']}, "
        + ", ".join(f"{name} {packages[name]}" for name in names),
    ]


def step_table(figures: Sequence[StepFigures]) -> list[str]:
    """One column a system: seconds a step part by part, then rates."""

    def line(label: str, values: Sequence[Spread | None]) -> str:
        return _row(label, ["-" if value is None else _spread(value) for value in values])

    names = list(dict.fromkeys(name for f in figures for name in f.parts))
    if "other" in names:  # last, although not every system has it
        names = [*(name for name in names if name != "other"), "other"]
    overlapping = list(dict.fromkeys(name for f in figures for name in f.overlapping))
    repeats = figures[0].step.repeats
    return [
        _row("", [f.system for f in figures]),
        f"seconds a step: median (lowest-highest) of {repeats} after one to warm up",
        *(line(f"  {name}", [f.parts.get(name) for f in figures]) for name in names),
        line("  whole step", [f.step for f in figures]),
        *(line(f"  ({name})", [f.overlapping.get(name) for f in figures]) for name in overlapping),
        line("replies a second", [f.replies_per_s for f in figures]),
        line("generated tokens a second", [f.tokens_per_s for f in figures]),
        line("tokens a reply", [f.reply_tokens for f in figures]),
        line("reward", [f.reward for f in figures]),
    ]


def work_lines(
    step: StepFigures,
    processors: Mapping[str, float],
    work: Work | None,
    starts: Sequence[float | None],
) -> list[str]:
    """Where mint's step has its processor time, what it computes, and what that takes at least."""
    lines = []
    if processors:
        together = sum(processors.values())
        cores = len(os.sched_getaffinity(0))
        each = ", ".join(
            f"{kind} {seconds:.2f}"
            for kind, seconds in sorted(processors.items(), key=lambda item: -item[1])
        )
        lines.append(f"processor seconds a step of mint: {each}; together {together:.2f}")
        idle = max(0.0, 1 - together / (cores * step.step.median))
        lines.append(f"  {100 * idle:.0f} % of {cores} cores' time is waited, or others'")
    if work is not None:
        lines.append(
            f"tokens a step: {work.distinct_tokens:,.0f} distinct of {work.tokens:,.0f}; their "
            f"matrix products are {work.gflop:,.0f} GFLOP, {work.floor_s:.2f} s at "
            f"{work.gflop_per_s:.0f} GFLOP/s (measured)"
        )
    if told := [f"{start:.0f}" for start in starts if start is not None]:
        lines.append(f"seconds from the start to the end of the first step: {', '.join(told)}")
    return ["", *lines] if lines else []


def grader_table(figures: GraderFigures) -> list[str]:
    """Grading speed, then seconds a training step."""
    lines = [
        f"graders on {figures.threads} threads: median (lowest-highest)",
        _row("  sentences tagged a second", [_spread(figures.sentences_tagged_per_s)]),
        _row("  replies judged a second", [_spread(figures.replies_judged_per_s)]),
        _row("  plain encode, sentences a second", [_spread(figures.plain_sentences_per_s)]),
        _row("seconds to grade", ["new texts", "same texts again", "plain encode, new"]),
    ]
    for each in figures.shapes:
        shape, times = each.shape, (each.cold, each.warm, each.plain_encode)
        label = f"  {shape.name}: {shape.replies} x {shape.sentences_per_reply}"
        lines.append(_row(label, [_spread(time) for time in times]))
    return lines


def bootstrap_table(figures: BootstrapFigures) -> list[str]:
    """Seconds of the loop and of the matrix products, and how many times faster they are."""
    return [
        f"paired bootstrap of {figures.data}, {figures.conversations} conversations, "
        f"{figures.turns} turns: seconds for {RESAMPLES:,} resamples, median (lowest-highest)",
        _row("  plain Python loop", [_spread(figures.loop_s)]),
        _row("  matrix products", [_spread(figures.matrix_s)]),
        f"loop / matrix products = {figures.ratio:.0f}",
    ]


def ratio_line(mint: StepFigures, trl: StepFigures) -> str:
    """How much longer TRL's step takes, also for equally many generated tokens."""
    return (
        f"TRL step / mint step = {trl.step.median / mint.step.median:.2f} "
        f"(per generated token {mint.tokens_per_s.median / trl.tokens_per_s.median:.2f}; "
        f"{trl.system} against {mint.system})"
    )


def _row(label: str, cells: Sequence[str]) -> str:
    # A label that is too long pushes the cells, but never runs into them.
    return f"{label:<{_LABEL}} {''.join(f'{cell:<{_WIDTH}}' for cell in cells)}".rstrip()


def _spread(value: Spread) -> str:
    return f"{_short(value.median)} ({_short(value.low)}-{_short(value.high)})"


def _short(number: float) -> str:
    if abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.3f}"
