"""eq_bench.json: what is written about runs, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mint.evaluation.eq_bench.released import EqRun
from mint.evaluation.eq_bench.scoring import EqScore
from mint.shell.files import write_json

NAME = "eq_bench"


def write_result(
    directory: Path, result: EqScore, about: Mapping[str, Any], more: Mapping[str, Any]
) -> Path:
    """Write eq_bench.json; returns its path."""
    return write_json(
        directory / f"{NAME}.json", {**score_row(result), "protocol": NAME, **about, **more}
    )


def score_row(result: EqScore) -> dict[str, Any]:
    """The score of a run, flat, as JSON."""
    row = asdict(result)
    interval = row.pop("interval")
    return {**row, "ci_low": interval["ci_low"], "ci_high": interval["ci_high"]}


def run_row(run: EqRun) -> dict[str, Any]:
    """A released run with every question."""
    return {
        "name": run.name,
        **score_row(run.result),
        "published": run.published,
        "difference": None
        if run.published is None or run.result.score is None
        else run.result.score - run.published,
        "read_otherwise": run.read_otherwise,
        "notes": run.notes,
        "questions": [
            {"iteration": iteration, "question": number, **passes._asdict()}
            for iteration, number, passes in run.answers
        ],
    }


def in_words(results: Mapping[str, EqScore], published: Sequence[float | None] = ()) -> str:
    """The scores for people, a line a run, the published ones beside them."""
    stated = [*published, *[None] * (len(results) - len(published))]
    lines = []
    for (name, result), other in zip(results.items(), stated, strict=True):
        if result.score is None:
            lines.append(f"{name}: no answer could be parsed")
            continue
        low, high = result.interval.ci_low, result.interval.ci_high
        ends = "" if low is None else f" [{low:.1f}, {high:.1f}]"
        beside = "" if other is None else f", published {other:.2f}"
        lines.append(
            f"{name}: EQ-Bench {result.score:.2f}{ends}{beside}; {result.parsed:g} parsed, "
            f"{result.counts.replace('_', ' ')} counts"
            + ("" if result.valid else "; INVALID: fewer than 83.33% of the questions parsed")
        )
    return "\n".join(lines)
