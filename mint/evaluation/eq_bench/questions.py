"""The question file of EQ-Bench v2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mint.shell.files import parse_json, read_text
from rewards.errors import DataError

EMOTIONS = 4
LARGEST = 10.0


class EqQuestion(NamedTuple):
    """A question and its reference answer."""

    prompt: str
    reference: dict[str, float]
    """The four emotions in lower case -> reference in [0, 10], on the full scale."""


def read_questions(path: Path) -> dict[str, EqQuestion]:
    """Number of a question -> the question.

    Raises ConfigError when the file cannot be read, DataError naming the question that is not in
    the published form: a prompt and `reference_answer_fullscale` with four different emotions, each
    scored 0 to 10 (some scores are text).
    """
    rows = parse_json(read_text(path, "questions="), path)
    if not isinstance(rows, Mapping) or not rows:
        raise DataError(f"{path}: expected an object of questions by number")
    return {str(name): _question(f"{path}: question {name}", row) for name, row in rows.items()}


def _question(where: str, row: Any) -> EqQuestion:
    try:
        prompt, answer = row["prompt"], row["reference_answer_fullscale"]
        reference = {
            str(answer[f"emotion{i}"]).lower(): float(answer[f"emotion{i}_score"])
            for i in range(1, EMOTIONS + 1)
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{where} needs prompt and reference_answer_fullscale with emotion1 to emotion4 and "
            f"their scores: {error!r}"
        ) from error
    if not isinstance(prompt, str) or len(reference) != EMOTIONS:
        raise DataError(f"{where} needs a prompt as text and four different emotions")
    if not all(0 <= value <= LARGEST for value in reference.values()):
        raise DataError(f"{where}: reference scores must lie in 0 to {LARGEST:g}, got {reference}")
    return EqQuestion(prompt, reference)
