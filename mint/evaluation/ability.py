"""Small fixed questions with answers that a program checks: what a model could do before training.

Two sets of `data/ability`: sums in words and figures made by reasoning-gym (Apache 2.0; its task
names, sizes and seed stand in the README there), and instructions about the form of an answer, in
the manner of IFEval (arXiv 2311.07911), whose checkers are `CHECKS`. A set this small tells that an
ability is lost, not which of two good models has more of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mint.shell.files import read_text, text_lines
from mint.shell.paths import data_dir
from rewards.errors import DataError
from rewards.text import split_sentences

SETS = ("arithmetic", "instructions")
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
_KEYS = ("id", "prompt", "checks")


class Question(NamedTuple):
    """One thing asked of a model."""

    id: str
    set: str
    """One of `SETS`."""
    prompt: str
    checks: Mapping[str, Any]
    """Name of `CHECKS` -> what it is given; all must hold."""


def last_number(text: str) -> float | None:
    """The last number of a text, which is where a sum that is worked out ends.

    >>> last_number("3 + 4 = 7, so the answer is 1,007.")
    1007.0
    """
    found = _NUMBER.findall(text.replace("\N{MINUS SIGN}", "-"))
    return float(found[-1].replace(",", "")) if found else None


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'’-]+", text)


def _times(text: str, what: str) -> int:
    """How often a text has a word, as a whole word, or a sign."""
    if what.isalpha():
        return [word.lower() for word in _words(text)].count(what.lower())
    return text.count(what)


def _bullets(text: str) -> int:
    return sum(bool(re.match(r"\s*[-*•]\s+\S", line)) for line in text.splitlines())


def _is_json(text: str, keys: Sequence[str]) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and sorted(found) == sorted(keys)


CHECKS: Mapping[str, Callable[[str, Any], bool]] = {
    "number": lambda text, value: last_number(text) == value,
    "contains": lambda text, word: word.lower() in text.lower(),
    "without": lambda text, word: word.lower() not in map(str.lower, _words(text)),
    "starts": lambda text, start: text.startswith(start),
    "ends": lambda text, end: text.rstrip(".! ").endswith(end),
    "words_at_most": lambda text, number: 0 < len(_words(text)) <= number,
    "words_at_least": lambda text, number: len(_words(text)) >= number,
    "sentences": lambda text, number: len(split_sentences(text)) == number,
    "lines": lambda text, number: len([x for x in text.splitlines() if x.strip()]) == number,
    "bullets": lambda text, number: _bullets(text) == number,
    "uppercase": lambda text, _: text.isupper(),
    "lowercase": lambda text, _: text.islower(),
    "no_comma": lambda text, _: "," not in text,
    "question": lambda text, _: text.endswith("?"),
    "quoted": lambda text, _: len(text) > 2 and text[0] == text[-1] == '"',
    "json": _is_json,
    "one_of": lambda text, words: text.strip(" .!").lower() in words,
    "times": lambda text, pair: _times(text, pair[0]) == pair[1],
}
"""Name -> whether a visible answer, stripped, holds to it; each is exact."""


def load_questions(folder: Path | None = None) -> tuple[Question, ...]:
    """The questions of both sets in file order; `folder` None: those that ship.

    Raises DataError with file, line and reason.
    """
    found: list[Question] = []
    for name in SETS:
        file = (folder or data_dir() / "ability") / f"{name}.jsonl"
        for number, line in text_lines(read_text(file)):
            try:
                found.append(_question(name, json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(f"{file}:{number}: no question: {error}") from error
    ids = [question.id for question in found]
    if len(set(ids)) < len(ids):
        raise DataError(f"{data_dir() / 'ability'}: two questions have one id")
    return tuple(found)


def holds(question: Question, answer: str) -> bool:
    """Whether a visible answer holds to all that was asked; an empty one never does."""
    text = answer.strip()
    return bool(text) and all(CHECKS[name](text, given) for name, given in question.checks.items())


def _question(name: str, row: Any) -> Question:
    if sorted(row) != sorted(_KEYS):
        raise DataError(f"needs exactly {', '.join(_KEYS)}")
    unknown = [check for check in row["checks"] if check not in CHECKS]
    if unknown or not row["checks"]:
        raise DataError(f"{unknown or 'no check'}: checks are {', '.join(CHECKS)}")
    return Question(str(row["id"]), name, str(row["prompt"]), row["checks"])
