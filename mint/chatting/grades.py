"""What the graders say of one reply in a conversation; a failure is a value with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from mint.data.rows import TurnTags
from rewards.build import Graders
from rewards.diversity import entropy, kl_divergence
from rewards.errors import GraderError
from rewards.scorer import JUDGEMENTS, checked_grades
from rewards.shaping import leaks_labels
from rewards.tactics import count_tactics
from rewards.text import split_sentences
from rewards.types import Failure, Message, Rating, Reply, ScalarRating, Tagging

Judgement = Rating | ScalarRating | Failure


@dataclass(frozen=True, kw_only=True)
class Grades:
    """Tagger and judge on one visible reply. One may have failed and the other not."""

    tagging: Tagging | Failure
    rating: Judgement
    novelty: float | Failure | None
    """Tactic novelty against the model's own previous reply, [0, 5] nats; None for its first."""
    label_leak: bool
    """Whether the reply names its tactics."""

    @property
    def tags(self) -> TurnTags | Failure:
        """Tactics of each sentence."""
        if isinstance(self.tagging, Failure):
            return self.tagging
        return tuple(tuple(sentence.tactics) for sentence in self.tagging.sentences)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON: what failed is under "failures", by name, and null elsewhere."""
        values = {"tagger": self.tagging, "judge": self.rating, "novelty": self.novelty}
        failures = {name: told(v) for name, v in values.items() if isinstance(v, Failure)}
        sentences = variety = None
        if isinstance(self.tagging, Tagging):
            sentences = [
                {"sentence": one.text, "tactics": list(one.tactics)}
                for one in self.tagging.sentences
            ]
            variety = round(entropy(self.tagging.counts), 4)
        return {
            "sentences": sentences,
            "rating": _rating(self.rating),
            "novelty": None if isinstance(self.novelty, Failure) else _rounded(self.novelty),
            "variety": variety,
            "label_leak": self.label_leak,
            "failures": failures,
        }


async def grade(
    graders: Graders, history: tuple[Message, ...], text: str, earlier: Sequence[TurnTags | Failure]
) -> Grades:
    """Grades of the visible reply `text` after `history`; `earlier`: tactics of the model's earlier
    replies that said something, oldest first. Never raises for a grader."""
    reply = Reply(history=history, text=text, sentences=tuple(split_sentences(text)))
    tagging, rating = await asyncio.gather(
        _asked("tagger", graders.tagger.tag([reply]), (Tagging,)),
        _asked("judge", graders.judge.rate([reply]), JUDGEMENTS),
    )
    return Grades(
        tagging=tagging,
        rating=rating,
        novelty=_novelty(tagging, earlier),
        label_leak=leaks_labels(text),
    )


def told(failure: Failure) -> str:
    """A failure in one line."""
    return f"{failure.kind}: {failure.message}"


async def _asked(name: str, answer: Awaitable[Sequence[Any]], kinds: tuple[type, ...]) -> Any:
    try:
        (grade,) = await checked_grades(name, answer, 1, kinds)
        return grade
    except GraderError as error:
        return Failure("exception", str(error))


def _novelty(
    tagging: Tagging | Failure, earlier: Sequence[TurnTags | Failure]
) -> float | Failure | None:
    if not earlier:
        return None
    if isinstance(tagging, Failure):
        return Failure("not_tagged", "the reply has no tags")
    if isinstance(earlier[-1], Failure):
        return Failure("not_tagged", "the reply before has no tags")
    return kl_divergence(count_tactics(earlier[-1]), tagging.counts)


def _rating(rating: Judgement) -> dict[str, Any] | None:
    if isinstance(rating, Failure):
        return None
    if isinstance(rating, ScalarRating):
        return {"value": _rounded(rating.value)}
    return {
        "aggregate": _rounded(rating.aggregate),
        "dimensions": {name: _rounded(value) for name, value in rating.dimensions.items()},
        "parts": {name: _rounded(value) for name, value in rating.parts.items()},
        "tricks": list(rating.tricks),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
