"""Evaluate any model: `python -m mint.evaluate run=DIR | model=NAME | endpoint=URL | replies=FILE`.

A run has an evaluation of its own, its held-out turns before and after training; the protocols for
any model are in `mint.evaluation.protocols`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mint.evaluation.asked import evaluations
from mint.evaluation.compared import compared
from mint.evaluation.options import EvaluateSettings
from mint.reporting.comparison.contestants import Called, load_contestants
from mint.reporting.comparison.page import render_comparison
from mint.shell import cli
from mint.shell.files import write_text_atomic
from mint.shell.statuses import LIMIT_BROKEN


def main(settings: EvaluateSettings) -> int:
    """Entry point of `python -m mint.evaluate`. Returns 3 when the gate is closed."""
    if not settings.compare:
        return _evaluate(settings)
    subjects = compared(settings)
    status = max([_evaluate(own) for own in subjects])
    print(f"comparison: {write_comparison(subjects, settings)}")
    return status


def _evaluate(settings: EvaluateSettings) -> int:
    closed = False
    for found in evaluations(settings):
        print(found.text, flush=True)
        for line in found.broken_limits:
            print(f"limit: {line}", file=sys.stderr)
        closed |= settings.gate and bool(found.broken_limits)
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
