"""Evaluate any model: `python -m mint.evaluate run=DIR | model=NAME | endpoint=URL | replies=FILE`.

A run has an evaluation of its own, its held-out turns before and after training; the protocols for
any model are in `mint.evaluation.protocols`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mint.evaluation.compared import compared
from mint.evaluation.options import HELD_OUT, EvaluateSettings
from mint.evaluation.protocols import eq_bench, memory, sage
from mint.evaluation.protocols.held_out import evaluate_run, format_results
from mint.evaluation.second import read_canary_rows
from mint.evaluation.session import run_session
from mint.evaluation.subjects import ask_eq_bench, ask_memory, compare_sage, sessions
from mint.reporting.comparison.contestants import Called, load_contestants
from mint.reporting.comparison.page import render_comparison
from mint.rundir.directory import RunDir
from mint.shell import cli
from mint.shell.files import write_text_atomic
from mint.shell.statuses import LIMIT_BROKEN
from rewards.canaries import format_canaries


def main(settings: EvaluateSettings) -> int:
    """Entry point of `python -m mint.evaluate`. Returns 3 when the gate is closed."""
    if not settings.compare:
        return _evaluate(settings)
    subjects = compared(settings)
    status = max([_evaluate(own) for own in subjects])
    print(f"comparison: {write_comparison(subjects, settings)}")
    return status


def _evaluate(settings: EvaluateSettings) -> int:
    protocols = settings.protocols
    if HELD_OUT in protocols:
        print(format_results(evaluate_run(str(settings.run), settings.which)))
        print(format_canaries(read_canary_rows(RunDir.open(str(settings.run)).evaluation_path)))
    if eq_bench.NAME in protocols:
        for output, text in ask_eq_bench(settings):
            print(f"== {output}\n\n{text}", flush=True)
    if memory.NAME in protocols:
        for output, text in ask_memory(settings):
            print(f"== {output}\n\n{text}", flush=True)
    alone = (HELD_OUT, eq_bench.NAME, memory.NAME)
    asked = [name for name in protocols if name not in alone]
    if not asked:
        return 0
    closed = False
    for session in sessions(settings):
        result = run_session(session, asked)
        print("\n\n".join([f"== {session.output}", *result.texts]), flush=True)
        for line in result.broken_limits:
            print(f"limit: {line}", file=sys.stderr)
        closed |= settings.gate and bool(result.broken_limits)
    if sage.NAME in asked and settings.subject == "run" and settings.which == "both":
        print(compare_sage(settings))
    if closed:
        print("gate: the safety probes exceed their limits", file=sys.stderr)
    return LIMIT_BROKEN if closed else 0


def write_comparison(subjects: Sequence[EvaluateSettings], settings: EvaluateSettings) -> Path:
    """Write the page about several evaluations; the first is what the others are compared with."""
    folders = [Path(str(own.output)) for own in subjects]
    contestants = load_contestants(folders, called=[Called(path.name) for path in folders])
    path = Path(str(settings.output)) / "comparison.html"
    write_text_atomic(path, render_comparison(contestants, settings.statistics, mixed=False))
    return path


if __name__ == "__main__":
    sys.exit(cli.run(EvaluateSettings, main))
