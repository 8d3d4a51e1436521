"""All that `mint evaluate` was asked for, part after part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mint.evaluation.options import HELD_OUT, EvaluateSettings
from mint.evaluation.protocols import ability, eq_bench, memory, sage
from mint.evaluation.protocols.held_out import evaluate_run, format_results
from mint.evaluation.second import read_canary_rows
from mint.evaluation.session import run_session
from mint.evaluation.subjects import compare_sage, sessions
from mint.evaluation.without_graders import ask_ability, ask_eq_bench, ask_memory
from mint.rundir.directory import RunDir
from rewards.canaries import format_canaries

_WITHOUT_GRADERS = {
    eq_bench.NAME: ask_eq_bench,
    memory.NAME: ask_memory,
    ability.NAME: ask_ability,
}


class Found(NamedTuple):
    """What a part of an evaluation has found, beside its files."""

    folder: Path
    """Where its files are."""
    text: str
    """For people."""
    broken_limits: Sequence[str] = ()
    """Limits of the safety probes that were exceeded, a line each."""


def evaluations(settings: EvaluateSettings) -> Iterator[Found]:
    """Evaluate, and tell each part as soon as it is over. Raises ConfigError."""
    protocols = settings.protocols
    if HELD_OUT in protocols:
        folder = RunDir.open(str(settings.run)).evaluation_path
        yield Found(folder, format_results(evaluate_run(str(settings.run), settings.which)))
        yield Found(folder, format_canaries(read_canary_rows(folder)))
    for name, ask in _WITHOUT_GRADERS.items():
        for output, text in ask(settings) if name in protocols else ():
            yield Found(output, f"== {output}\n\n{text}")
    asked = [name for name in protocols if name not in (HELD_OUT, *_WITHOUT_GRADERS)]
    for session in sessions(settings) if asked else ():
        result = run_session(session, asked)
        text = "\n\n".join([f"== {session.output}", *result.texts])
        yield Found(session.output, text, result.broken_limits)
    if sage.NAME in asked and settings.subject == "run" and settings.which == "both":
        path, text = compare_sage(settings)
        yield Found(path.parent, text)
