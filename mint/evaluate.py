"""Evaluate any model: `python -m mint.evaluate run=DIR | model=NAME | endpoint=URL | replies=FILE`.

A run has an evaluation of its own, its held-out turns before and after training; the protocols for
any model are in `mint.evaluation.protocols`.
"""

from __future__ import annotations

import sys

from mint.evaluation.asked import evaluations
from mint.evaluation.options import EvaluateSettings
from mint.shell import cli
from mint.shell.statuses import LIMIT_BROKEN


def main(settings: EvaluateSettings) -> int:
    """Entry point of `python -m mint.evaluate`. Returns 3 when the gate is closed."""
    closed = False
    for found in evaluations(settings):
        print(found.text, flush=True)
        for line in found.broken_limits:
            print(f"limit: {line}", file=sys.stderr)
        closed |= settings.gate and bool(found.broken_limits)
    if closed:
        print("gate: the safety probes exceed their limits", file=sys.stderr)
    return LIMIT_BROKEN if closed else 0


if __name__ == "__main__":
    sys.exit(cli.run(EvaluateSettings, main))
