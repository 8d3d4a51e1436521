"""Published result files of EQ-Bench, their raw answers parsed and scored anew.

One run a file: {"raw_results": {iteration: {"raw_inference": {question: answer}}}} with the
published score beside it; or several runs by name, as the benchmark itself keeps them, each with
"iterations". An object that names a question twice counts it once, the last time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.eq_bench.questions import EqQuestion
from mint.evaluation.eq_bench.scoring import (
    EqScore,
    Passes,
    read_ratings,
    revises,
    score_answer,
    summarise,
)
from mint.shell.files import parse_json, read_text
from rewards.errors import DataError

RESULTS, ANSWERS = "raw_results", "raw_inference"


@dataclass(frozen=True, kw_only=True)
class EqRun:
    """A run scored anew."""

    name: str
    result: EqScore
    answers: tuple[tuple[str, str, Passes], ...]
    """Iteration, question, passes."""
    published: float | None
    """The score that the file states."""
    read_otherwise: tuple[str, ...]
    """Answers that the file's own parser has read differently, as iteration/question."""
    notes: tuple[str, ...]
    """What of the file is not used, and why."""


def score_file(
    path: Path, questions: Mapping[str, EqQuestion], settings: EvaluationConfig
) -> list[EqRun]:
    """Every run of a result file.

    Raises ConfigError when it cannot be read, DataError when it is no result file or holds no
    answer to any of the questions.
    """
    content = parse_json(read_text(path, "results="), path)
    runs = _runs(path, content)
    return [_score(f"{path}: {name}", name, run, questions, settings) for name, run in runs.items()]


def _runs(path: Path, content: Any) -> dict[str, Mapping[str, Any]]:
    """Run -> {"iterations", "score"}."""
    if isinstance(content, Mapping):
        if RESULTS in content:
            name = str(_get(content, "index_string") or path.stem)
            return {
                name: {
                    "iterations": content[RESULTS],
                    "score": _get(content, "benchmark_score"),
                }
            }
        runs: dict[str, Mapping[str, Any]] = {
            str(name): {
                "iterations": run["iterations"],
                "score": _get(_get(run, "benchmark_results"), "score"),
            }
            for name, run in content.items()
            if isinstance(run, Mapping) and "iterations" in run
        }
        if runs:
            return runs
    raise DataError(f"{path}: no result file: neither {RESULTS} nor runs with iterations")


def _score(
    where: str,
    name: str,
    run: Mapping[str, Any],
    questions: Mapping[str, EqQuestion],
    settings: EvaluationConfig,
) -> EqRun:
    notes: list[str] = []
    texts = _texts(where, run["iterations"], questions, notes)
    if not texts:
        raise DataError(f"{where}: no answer to any of the {len(questions)} questions")
    revised = revises(list(texts.values()))
    answers = [
        (iteration, number, score_answer(questions[number].reference, text, revised, free=True))
        for (iteration, number), text in texts.items()
    ]
    other = [
        f"{iteration}/{number}"
        for (iteration, number), text in texts.items()
        if _recorded(run["iterations"][iteration], number) not in (None, _read(text, revised))
    ]
    score = run["score"]
    is_number = isinstance(score, int | float) and not isinstance(score, bool)
    iterations = len({iteration for iteration, _ in texts})
    pairs = [(number, passes) for _, number, passes in answers]
    return EqRun(
        name=name,
        result=summarise(pairs, len(questions), iterations, settings),
        answers=tuple(answers),
        published=float(score) if is_number else None,
        read_otherwise=tuple(other),
        notes=tuple(notes),
    )


def _texts(
    where: str, iterations: Any, questions: Mapping[str, EqQuestion], notes: list[str]
) -> dict[tuple[str, str], str]:
    """(iteration, question) -> raw answer."""
    found = {}
    for iteration, own in iterations.items() if isinstance(iterations, Mapping) else ():
        answers = _get(own, ANSWERS)
        if not isinstance(answers, Mapping):
            notes.append(f"{where}: iteration {iteration} has no {ANSWERS}")
            continue
        for number, text in answers.items():
            if str(number) not in questions:
                notes.append(f"{where}: iteration {iteration}: no question {number}")
            elif not isinstance(text, str):
                kind = type(text).__name__
                notes.append(f"{where}: iteration {iteration}, question {number}: a {kind}")
            else:
                found[str(iteration), str(number)] = text
    return found


def _read(text: str, revised: bool) -> list[dict[str, float]]:
    return [_floats(one) for one in read_ratings(text, revised)]


def _recorded(iteration: Mapping[str, Any], number: str) -> list[dict[str, float]] | None:
    """What the file's own parser has read; None where it is not recorded."""
    row = _get(_get(iteration, "respondent_answers"), number)
    if not isinstance(row, Mapping):
        return None
    try:
        return [_floats(_get(row, name) or {}) for name in ("first_pass", "revised")]
    except (TypeError, ValueError, AttributeError):
        return None


def _floats(ratings: Mapping[str, Any]) -> dict[str, float]:
    return {str(emotion): float(value) for emotion, value in ratings.items()}


def _get(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, Mapping) and name in row else None
