"""Evaluate any model: `python -m mint.evaluate run=DIR | model=NAME | endpoint=URL | replies=FILE`.

A run has an evaluation of its own, its held-out turns before and after training; the protocols for
any model are in `mint.evaluation.protocols`.
"""

from __future__ import annotations

import sys

from mint.evaluation.options import HELD_OUT, EvaluateSettings
from mint.evaluation.protocols import ability, eq_bench, sage
from mint.evaluation.protocols.held_out import evaluate_run, format_results
from mint.evaluation.second import read_canary_rows
from mint.evaluation.session import run_session
from mint.evaluation.subjects import ask_ability, ask_eq_bench, compare_sage, sessions
from mint.rundir.directory import RunDir
from mint.shell import cli
from mint.shell.statuses import LIMIT_BROKEN
from rewards.canaries import format_canaries


def main(settings: EvaluateSettings) -> int:
    """Entry point of `python -m mint.evaluate`. Returns 3 when the gate is closed."""
    protocols = settings.protocols
    if HELD_OUT in protocols:
        print(format_results(evaluate_run(str(settings.run), settings.which)))
        print(format_canaries(read_canary_rows(RunDir.open(str(settings.run)).evaluation_path)))
    if eq_bench.NAME in protocols:
        for output, text in ask_eq_bench(settings):
            print(f"== {output}\n\n{text}", flush=True)
    if ability.NAME in protocols:
        for output, text in ask_ability(settings):
            print(f"== {output}\n\n{text}", flush=True)
    asked = [name for name in protocols if name not in (HELD_OUT, eq_bench.NAME, ability.NAME)]
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


if __name__ == "__main__":
    sys.exit(cli.run(EvaluateSettings, main))
