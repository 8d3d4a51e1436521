"""From generated replies to raw signals: strip, split, tag, judge, compute the novelty terms."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from rewards.diversity import (
    entropy,
    history_ngrams,
    kl_divergence,
    ngram_surprisal,
)
from rewards.errors import GraderError
from rewards.formula import SURPRISALS
from rewards.protocols import EmpathyJudge, TacticTagger
from rewards.shaping import leaks_labels
from rewards.tactics import NUM_TACTICS
from rewards.text import split_sentences, visible_reply
from rewards.types import (
    HIGHEST_RATING,
    LOWEST_RATING,
    Failure,
    Message,
    Rating,
    Reply,
    ScalarRating,
    Signals,
    Status,
    Tagging,
    scaled_rating,
)

_ORDERS = {"bigram": 2, "trigram": 3}
_REASONS = {
    Status.EMPTY: "nothing visible: no letter or digit outside <think>",
    Status.TRUNCATED_THINK: "the reply ends inside an unclosed <think> block",
}

GradeT = TypeVar("GradeT")
JUDGEMENTS = (Rating, ScalarRating)
Judgement = Rating | ScalarRating
"""What a judge says of a reply that it could rate."""


class ScoringRequest(NamedTuple):
    """One generated reply, and what its reward depends on."""

    raw_reply: str
    """Decoded reply, special tokens stripped; may contain <think>."""
    history: tuple[Message, ...]
    """Earlier messages, oldest first, no system prompt; ends with a seeker message."""
    previous_counts: tuple[float, ...]
    """Sentences per tactic in the last supporter turn, ten entries; all 0 on a first turn."""
    history_tactics: tuple[tuple[tuple[str, ...], ...], ...]
    """Tactics of the earlier supporter turns: turn -> sentence -> tactics."""
    num_tokens: int
    """Length of the visible reply in the policy's tokens."""
    truncated: bool
    """Whether generation stopped at the length limit."""


class ReplyScorer:
    """Turns replies into `Signals` with a tagger and a judge, which run at the same time."""

    def __init__(
        self,
        tagger: TacticTagger,
        judge: EmpathyJudge,
        *,
        surprisals: Collection[str] = SURPRISALS,
    ) -> None:
        """`surprisals`: which of bigram and trigram to compute; the others stay None."""
        self._tagger = tagger
        self._judge = judge
        self._surprisals = frozenset(surprisals)

    async def score(self, requests: Sequence[ScoringRequest]) -> list[Signals]:
        """Signals of each request, in order.

        A reply without visible text is never sent to a grader. A reply that a grader could not
        grade has status FAILED. Raises GraderError when a grader raises or answers with a list of
        another length: then nothing it says can be trusted.
        """
        visible = [visible_reply(request.raw_reply) for request in requests]
        replies = [
            Reply(
                history=request.history,
                text=seen.text,
                sentences=tuple(split_sentences(seen.text)),
            )
            for request, seen in zip(requests, visible, strict=True)
            if seen.status is Status.OK
        ]
        taggings, ratings = await self._grade(replies)
        grades = iter(zip(taggings, ratings, strict=True))
        return [
            Signals(
                status=seen.status,
                reason=_REASONS[seen.status],
                num_tokens=request.num_tokens,
                truncated=request.truncated,
            )
            if seen.status is not Status.OK
            else self._signals(request, seen.text, *next(grades))
            for request, seen in zip(requests, visible, strict=True)
        ]

    def in_order(
        self, requests: Sequence[ScoringRequest], signals: Sequence[Signals]
    ) -> list[tuple[ScoringRequest, Signals]]:
        """The replies of one dialogue, oldest first, each measured against those before it.

        `signals`: what `score` said of `requests`, whose earlier turns were not tagged yet.
        """
        done: list[tuple[ScoringRequest, Signals]] = []
        counts: tuple[float, ...] = (0.0,) * NUM_TACTICS
        tactics: tuple[tuple[tuple[str, ...], ...], ...] = ()
        for request, signal in zip(requests, signals, strict=True):
            own = request._replace(previous_counts=counts, history_tactics=tactics)
            tagging, rating = signal.tagging, signal.rating
            if tagging is not None and rating is not None:
                text = visible_reply(request.raw_reply).text
                signal = self._signals(own, text, tagging, rating)
            counts = signal.counts or (0.0,) * NUM_TACTICS
            tactics = (*tactics, tuple(s.tactics for s in tagging.sentences) if tagging else ())
            done.append((own, signal))
        return done

    async def _grade(
        self, replies: list[Reply]
    ) -> tuple[list[Tagging | Failure], list[Judgement | Failure]]:
        if not replies:
            return [], []
        taggings, ratings = await asyncio.gather(
            checked_grades("tagger", self._tagger.tag(replies), len(replies), (Tagging,)),
            checked_grades("judge", self._judge.rate(replies), len(replies), JUDGEMENTS),
        )
        return taggings, ratings

    def _signals(
        self,
        request: ScoringRequest,
        text: str,
        tagging: Tagging | Failure,
        rating: Judgement | Failure,
    ) -> Signals:
        if isinstance(tagging, Failure) or isinstance(rating, Failure):
            grades = {"tagger": tagging, "judge": rating}
            failures = {name: g for name, g in grades.items() if isinstance(g, Failure)}
            return failed_signals(request, failures)
        counts = tagging.counts
        return Signals(
            status=Status.OK,
            quality=quality_of(rating),
            quality_is_logit=isinstance(rating, ScalarRating),
            kl=kl_divergence(request.previous_counts, counts),
            entropy=entropy(counts),
            num_tokens=request.num_tokens,
            label_leak=leaks_labels(text),
            truncated=request.truncated,
            counts=counts,
            tagging=tagging,
            rating=rating,
            **self._surprisal(request, tagging),
        )

    def _surprisal(self, request: ScoringRequest, tagging: Tagging) -> dict[str, Any]:
        sentences = [sentence.tactics for sentence in tagging.sentences]
        turns = request.history_tactics
        return {
            name: ngram_surprisal(history_ngrams(turns, order), sentences, order)
            for name, order in _ORDERS.items()
            if name in self._surprisals
        }


async def checked_grades(
    grader: str, answers: Awaitable[Sequence[Any]], expected: int, kinds: tuple[type, ...]
) -> list[Any]:
    """One grade of `kinds`, or Failure, for each reply; what is neither becomes a Failure.

    Raises GraderError when the grader raises or answers with a list of another length.
    """
    try:
        grades = list(await answers)
    except Exception as error:
        raise GraderError(f"{grader} raised {type(error).__name__}: {error}") from error
    if len(grades) != expected:
        raise GraderError(f"{grader} answered {len(grades)} grades for {expected} replies")
    return [_of_kind(grade, kinds) for grade in grades]


def _of_kind(grade: Any, kinds: tuple[type, ...]) -> Any:
    names = " or ".join(kind.__name__ for kind in kinds)
    if not isinstance(grade, (*kinds, Failure)):
        return Failure("off_schema", f"expected {names}, got {grade!r:.80}")
    try:
        if isinstance(grade, Tagging):
            _ = grade.counts  # fails for tactics that are none, and for what is no sentence
        elif isinstance(grade, Rating | ScalarRating):
            return _usable(grade)
    except Exception as error:
        return Failure("off_schema", f"a {type(grade).__name__} that cannot be used: {error!r:.80}")
    return grade


def quality_of(rating: Judgement) -> float:
    """The aggregate mapped to [0, 1]; a reward model's logit as it is."""
    if isinstance(rating, ScalarRating):
        return rating.value
    return scaled_rating(rating.aggregate)


def failed_signals(request: ScoringRequest, failures: Mapping[str, Failure]) -> Signals:
    """Signals of a reply that could not be graded; `failures` says by which grader and why."""
    return Signals(
        status=Status.FAILED,
        reason="; ".join(f"{name}: {f.kind}: {f.message}" for name, f in failures.items()),
        failures=dict(failures),
        num_tokens=request.num_tokens,
        truncated=request.truncated,
    )


def _usable(rating: Judgement | Failure) -> Judgement | Failure:
    """The rating, or a Failure when its aggregate is no number in [1, 5], its value not finite."""
    if isinstance(rating, ScalarRating) and not math.isfinite(rating.value):
        return Failure("out_of_range", f"a scalar rating must be finite, got {rating.value}")
    if isinstance(rating, Rating) and not LOWEST_RATING <= rating.aggregate <= HIGHEST_RATING:
        return Failure("out_of_range", f"aggregate must be in [1, 5], got {rating.aggregate}")
    return rating
