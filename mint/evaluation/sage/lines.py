"""How like a person a simulated seeker talks: its lines beside those of people.

Only lines after the opening count, since openings are authored, and the supporter decides the rest
too: other supporters get other lines. So a difference says that the conversations differ, and a
small one that the seeker is no obvious stranger. For English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mint.config.evaluation import EvaluationConfig
from mint.data.cases import read_cases
from mint.evaluation.metrics.wording import opening, words
from mint.evaluation.statistics.bootstrap import percentile_interval, resample_counts
from mint.evaluation.statistics.estimates import clustered_mean
from rewards.types import Message

Conversation = Sequence[Message]
_AGREES = re.compile(
    r"\b(?:yes|yeah|yep|exactly|thank(?:s| you)|agree|agreed|true|good (?:point|idea)"
    r"|(?:you're|you are|that's|that is) right|makes sense|i'll try|i will try|appreciate)\b"
)
_FIRST_WORDS = 12


class Line(NamedTuple):
    """A seeker's line and what was said before it."""

    text: str
    before: tuple[str, ...]
    own: tuple[str, ...]
    """The seeker's own earlier lines."""


MEASURES: dict[str, Callable[[Line], float]] = {
    "words": lambda line: float(len(words(line.text))),
    "question": lambda line: float("?" in line.text),
    "disclosure": lambda line: float(len(_content(line.text) - _content(*line.before))),
    "agreement": lambda line: float(_agrees(line.text)),
    "same_opening": lambda line: float(opening(line.text) in {opening(text) for text in line.own}),
}
"""Of a line: its words; whether it asks; different words of four letters or more that nobody has
said before in the conversation; whether it thanks or agrees in its first twelve words; whether it
begins with the same four words as an earlier line of the seeker."""
_SHARES = ("question", "agreement", "same_opening")


def lines_of(conversation: Conversation) -> list[Line]:
    """The seeker's lines after the opening."""
    said: list[str] = []
    own: list[str] = []
    found = []
    for message in conversation:
        if message.role == "seeker":
            if said:
                found.append(Line(message.content, tuple(said), tuple(own)))
            own.append(message.content)
        said.append(message.content)
    return found


def read_conversations(path: Path) -> dict[str, Conversation]:
    """Name -> conversation up to its last supporter turn, from a file that `data` takes."""
    longest: dict[str, Conversation] = {}
    for case in read_cases(path):
        before = longest[case.conversation_id] if case.conversation_id in longest else ()
        if len(case.history) > len(before):
            longest[case.conversation_id] = case.history
    return longest


def fidelity(
    seeker: Mapping[str, Conversation],
    people: Mapping[str, Conversation],
    settings: EvaluationConfig,
) -> dict[str, Any]:
    """Measure -> seeker, people (means with intervals over conversations), difference with an
    interval, and overlap: the chance that a line of the seeker has more of it than a person's, ties
    by half; 0.5 where they are alike. {} when a side has no line after an opening."""
    sides = [
        {name: lines_of(conversation) for name, conversation in own.items()}
        for own in (seeker, people)
    ]
    sides = [{name: lines for name, lines in own.items() if lines} for own in sides]
    if not all(sides):
        return {}
    return {name: _measured(name, sides[0], sides[1], settings) for name in MEASURES}


def _measured(
    name: str,
    seeker: Mapping[str, Sequence[Line]],
    people: Mapping[str, Sequence[Line]],
    settings: EvaluationConfig,
) -> dict[str, Any]:
    values = [
        [(key, MEASURES[name](line)) for key, lines in own.items() for line in lines]
        for own in (seeker, people)
    ]
    first, second = (clustered_mean(own, settings, share=name in _SHARES) for own in values)
    # The sides are independent: each draws its own conversations.
    drawn = [_drawn(own, settings, settings.seed + number) for number, own in enumerate(values)]
    low, high = percentile_interval(drawn[0] - drawn[1], settings.confidence)
    assert first.mean is not None  # both sides have lines
    assert second.mean is not None
    return {
        "seeker": asdict(first),
        "people": asdict(second),
        "difference": first.mean - second.mean,
        "ci_low": low,
        "ci_high": high,
        "overlap": _overlap(*([value for _, value in own] for own in values)),
    }


def _drawn(
    values: Sequence[tuple[str, float]], settings: EvaluationConfig, seed: int
) -> np.ndarray:
    names = sorted({name for name, _ in values})
    place = {name: number for number, name in enumerate(names)}
    sums_C2 = np.zeros((len(names), 2))
    for name, value in values:
        sums_C2[place[name]] += (value, 1.0)
    totals_R2 = resample_counts(len(names), settings.resamples, seed) @ sums_C2
    return totals_R2[:, 0] / totals_R2[:, 1]


def _overlap(first: Sequence[float], second: Sequence[float]) -> float:
    a, b = np.asarray(first)[:, None], np.asarray(second)[None, :]
    return float(((a > b) + 0.5 * (a == b)).mean())


def _agrees(text: str) -> bool:
    return _AGREES.search(" ".join(words(text)[:_FIRST_WORDS])) is not None


def _content(*texts: str) -> set[str]:
    return {word for text in texts for word in words(text) if len(word) >= 4}
