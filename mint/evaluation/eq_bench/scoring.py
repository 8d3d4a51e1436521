"""From the text of an answer to the score of a run.

As in the EQ-Bench paper (arXiv 2312.06281) and its second version. Where texts and numbers differ,
the published numbers decide: those of the 13 runs at hand come out to the last printed digit with
`penalty` as it is here, and differ by up to 0.012 when a distance of exactly 5 takes the curve too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.eq_bench.questions import EMOTIONS
from mint.evaluation.statistics.estimates import Estimate, clustered_mean

SCALE = 0.7477
"""Chosen by the authors so that answers at random score about 0."""
ENOUGH_PARSED = 0.8333
"""A run with a smaller share of parsed questions is invalid."""
COMPARABLE = 0.95
"""The revision counts only if at least this part of the first pass's number is parsed of it."""

Ratings = Mapping[str, str]
"""Emotion as written -> its score as written."""

_FIRST = re.compile(r"First pass scores:(.*?)Revised scores:", re.DOTALL)
_REVISED = re.compile(r"Revised scores:(.*?)$", re.DOTALL)
_RATING = re.compile(r"(\w+):\s+(\d+)")
_ANY_REVISED = re.compile(r"^\W*(?:my\s+)?revised\b[^:\n]*:?", re.IGNORECASE | re.MULTILINE)


class Passes(NamedTuple):
    """The two passes of an answer: ratings, or scores; None where one cannot be scored."""

    first: float | None
    revised: float | None


@dataclass(frozen=True, kw_only=True)
class EqScore:
    """The score of a run."""

    score: float | None
    """100 x mean question score / 10 of the pass that counts; at most 100, may be negative, None
    when nothing was parsed."""
    parsed: float
    """Questions parsed in that pass, the mean over the iterations of a run."""
    first_pass: float | None
    revised: float | None
    counts: str
    """Which of the two is the score: first_pass or revised."""
    parsed_first_pass: float
    parsed_revised: float
    valid: bool
    """At least 83.33 % of the questions were parsed."""
    interval: Estimate
    """Of the score, over questions."""


def penalty(distance: float) -> float:
    """What a rating costs at a distance from its reference: 0 at 0, 6.5 / (1 + exp(-1.2 (d - 4)))
    below 5, and d from there on. In [0, 10] for ratings of 0 to 10."""
    if distance == 0 or distance >= 5:
        return distance
    return 6.5 / (1.0 + math.exp(-1.2 * (distance - 4.0)))


def score_pass(reference: Mapping[str, float], ratings: Ratings) -> float | None:
    """10 - 0.7477 x the sum of four penalties: 10 for the reference itself, -19.9 at worst for
    ratings of 0 to 10. None unless the ratings name exactly the emotions of the reference."""
    given = {emotion.lower(): float(value) for emotion, value in ratings.items()}
    if len(ratings) != EMOTIONS or given.keys() != reference.keys():
        return None
    return 10.0 - SCALE * sum(penalty(abs(given[e] - reference[e])) for e in reference)


def read_ratings(text: str, revises: bool) -> tuple[Ratings, Ratings]:
    """First pass and revision, read as the published scorer does: between its two headings and
    after the second, whole numbers after "Emotion: ", the last of each emotion. An answer of a run
    that does not revise is one pass from its first line."""
    text = text.replace("*", "").replace("#", "")
    if not revises:
        return dict(_RATING.findall(text)), {}
    first, revised = _FIRST.search(text), _REVISED.search(text)
    return (
        dict(_RATING.findall(first[1])) if first else {},
        dict(_RATING.findall(revised[1])) if revised else {},
    )


def read_freely(text: str, emotions: Sequence[str]) -> tuple[Ratings, Ratings]:
    """The same for an answer in another form: headings and emotions in any case, any mark between
    emotion and number, decimals, emotions beside the four (left out)."""
    heading = _ANY_REVISED.search(text)
    parts = (text[: heading.start()], text[heading.end() :]) if heading else (text, "")
    first, revised = ({**_find(part, emotions)} for part in parts)
    return first, revised


def score_answer(
    reference: Mapping[str, float], text: str, revises: bool, free: bool = False
) -> Passes:
    """Both passes of an answer in [-19.9, 10]; None for one that cannot be scored.

    `free`: an answer of which the published rules read neither pass is read by `read_freely`.
    """
    passes = Passes(*(score_pass(reference, r) for r in read_ratings(text, revises)))
    if free and passes == (None, None):
        passes = Passes(*(score_pass(reference, r) for r in read_freely(text, list(reference))))
    return passes


def revises(texts: Sequence[str]) -> bool:
    """Whether a run revises its answers: most hold the second heading, in any case."""
    return 2 * sum("revised scores:" in text.lower() for text in texts) > len(texts)


def summarise(
    answers: Sequence[tuple[str, Passes]],
    questions: int,
    iterations: int,
    settings: EvaluationConfig,
) -> EqScore:
    """The score of a run from (question, passes), those of all its iterations together.

    The revision counts if it scores no less than the first pass and at least 95 % as many of it
    are parsed; else the first pass does.
    """
    first = [(name, passes.first) for name, passes in answers if passes.first is not None]
    second = [(name, passes.revised) for name, passes in answers if passes.revised is not None]
    means = [_mean([value for _, value in own]) for own in (first, second)]
    better = means[1] is not None and (means[0] is None or means[1] >= means[0])
    use_second = better and len(second) >= COMPARABLE * len(first)
    chosen = second if use_second else first
    return EqScore(
        score=means[use_second],
        parsed=_plain(len(chosen) / iterations),
        first_pass=means[0],
        revised=means[1],
        counts="revised" if use_second else "first_pass",
        parsed_first_pass=_plain(len(first) / iterations),
        parsed_revised=_plain(len(second) / iterations),
        valid=len(chosen) >= ENOUGH_PARSED * questions * iterations,
        interval=_interval(chosen, settings),
    )


def _find(text: str, emotions: Sequence[str]) -> Ratings:
    found = {}
    for emotion in emotions:
        pattern = rf"(?<!\w){re.escape(emotion)}(?!\w)[^\w\n]*?(\d+(?:\.\d+)?)"
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            found[emotion] = match[1]
    return found


def _mean(values: Sequence[float]) -> float | None:
    return 10.0 * math.fsum(values) / len(values) if values else None


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value


def _interval(chosen: Sequence[tuple[str, float]], settings: EvaluationConfig) -> Estimate:
    if not chosen:
        return Estimate(mean=None, ci_low=None, ci_high=None, n=0)
    return clustered_mean([(name, 10.0 * value) for name, value in chosen], settings)
