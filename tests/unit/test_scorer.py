"""From requests to signals: what reaches the graders, and what becomes of their answers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest

from rewards.errors import GraderError
from rewards.formula import RewardWeights
from rewards.scorer import ReplyScorer, ScoringRequest
from rewards.types import (
    DIMENSIONS,
    Failure,
    GraderIdentity,
    Message,
    Rating,
    Reply,
    ScalarRating,
    Signals,
    Status,
    TaggedSentence,
    Tagging,
)

IDENTITY = GraderIdentity(kind="test", name="test", revision="1")
PREVIOUS = (0.0, 0.0, 0.0, 1.0) + (0.0,) * 6


class Tagger:
    """Every sentence is advice; "boom" in a reply fails it."""

    identity = IDENTITY

    def __init__(self) -> None:
        self.seen: list[Reply] = []

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        self.seen += replies
        return [
            Failure("timeout", "20 s")
            if "boom" in reply.text
            else Tagging(
                sentences=tuple(
                    TaggedSentence(text, ("advice",), {"advice": 1.0})
                    for text in reply.sentences or ()
                )
            )
            for reply in replies
        ]


class Judge:
    """Every reply is worth `aggregate`."""

    identity = IDENTITY

    def __init__(self, aggregate: float = 4.0) -> None:
        self.aggregate = aggregate

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        dimensions = dict.fromkeys(DIMENSIONS, 3.0)
        return [Rating(dimensions=dimensions, aggregate=self.aggregate) for _ in replies]


def request(raw: str, **changes: object) -> ScoringRequest:
    base = ScoringRequest(
        raw_reply=raw,
        history=(Message("seeker", "I lost my job."),),
        previous_counts=PREVIOUS,
        history_tactics=((("validation",),),),
        num_tokens=12,
        truncated=False,
    )
    return base._replace(**changes)  # type: ignore[arg-type]


def score(requests: list[ScoringRequest], **graders: object) -> list[Signals]:
    scorer = ReplyScorer(
        graders["tagger"] if "tagger" in graders else Tagger(),  # type: ignore[arg-type]
        graders["judge"] if "judge" in graders else Judge(),  # type: ignore[arg-type]
    )
    return asyncio.run(scorer.score(requests))


def test_signals_of_a_good_reply() -> None:
    (signals,) = score([request("<think>x</think>Rest a bit.", truncated=True)])
    assert signals.status is Status.OK
    assert signals.quality == 0.75
    assert signals.kl == pytest.approx(1.198948, abs=1e-6)
    assert signals.entropy == 0.0
    assert signals.counts == (0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    assert (signals.num_tokens, signals.truncated, signals.label_leak) == (12, True, False)
    assert signals.tagging is not None
    assert signals.rating is not None


def test_surprisal_uses_the_history() -> None:
    history = ((("advice", "advice"),),)
    (with_history,) = score([request("Rest. Walk.", history_tactics=history)])
    (without,) = score([request("Rest. Walk.", history_tactics=())])
    assert with_history.bigram == pytest.approx(-math.log(1.1 / 2.0))
    assert without.bigram == pytest.approx(math.log(10))
    assert without.trigram == 0.0


def test_order_is_kept_around_ungraded_replies() -> None:
    tagger = Tagger()
    signals = score(
        [
            request("One."),
            request("..."),
            request("<think>so"),
            request("boom"),
            request("Two. 2."),
        ],
        tagger=tagger,
    )
    assert [s.status for s in signals] == [
        Status.OK,
        Status.EMPTY,
        Status.TRUNCATED_THINK,
        Status.FAILED,
        Status.OK,
    ]
    assert [reply.text for reply in tagger.seen] == ["One.", "boom", "Two. 2."]
    assert signals[4].counts[2] == 2
    assert all(s.reason for s in signals if s.status is not Status.OK)
    assert signals[1].num_tokens == 12


def test_failure_names_its_grader() -> None:
    (signals,) = score([request("boom")])
    assert signals.reason == "tagger: timeout: 20 s"
    assert signals.quality is None


def test_graders_get_the_visible_reply_and_its_sentences() -> None:
    tagger = Tagger()
    score([request("<think>no</think> One. Two?")], tagger=tagger)
    assert tagger.seen[0].text == "One. Two?"
    assert tagger.seen[0].sentences == ("One.", "Two?")
    assert tagger.seen[0].seeker_turn == "I lost my job."


@pytest.mark.parametrize("aggregate", [math.nan, math.inf, 0.99, 5.01])
def test_impossible_rating_is_a_failure_not_a_number(aggregate: float) -> None:
    (signals,) = score([request("One.")], judge=Judge(aggregate))
    assert signals.status is Status.FAILED
    assert signals.reason.startswith("judge: out_of_range")


def test_label_leak_is_seen_in_the_visible_part_only() -> None:
    hidden, shown = score(
        [request("<think>**Advice:** x</think>Rest."), request("**Advice:** rest.")]
    )
    assert (hidden.label_leak, shown.label_leak) == (False, True)


def test_no_visible_reply_asks_no_grader() -> None:
    tagger = Tagger()
    assert score([], tagger=tagger) == []
    assert score([request("")], tagger=tagger)[0].status is Status.EMPTY
    assert tagger.seen == []


class Raising(Judge):
    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        raise ConnectionError("refused")


class Short(Judge):
    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        return (await super().rate(replies))[1:]


@pytest.mark.parametrize(
    ("judge", "says"),
    [(Raising(), "judge raised ConnectionError: refused"), (Short(), "0 grades for 1 replies")],
)
def test_unusable_grader_ends_the_run(judge: Judge, says: str) -> None:
    with pytest.raises(GraderError, match=says):
        score([request("One.")], judge=judge)


def test_tagger_and_judge_run_at_the_same_time() -> None:
    async def scenario() -> list[Signals]:
        started = asyncio.Event()

        class Waiting(Tagger):
            async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
                await asyncio.wait_for(started.wait(), 5.0)
                return await super().tag(replies)

        class Starting(Judge):
            async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
                started.set()
                return await super().rate(replies)

        return await ReplyScorer(Waiting(), Starting()).score([request("One.")])

    assert asyncio.run(scenario())[0].status is Status.OK


class RewardModel:
    """Every reply gets the same logit."""

    identity = IDENTITY

    def __init__(self, value: float) -> None:
        self.value = value

    async def rate(self, replies: Sequence[Reply]) -> list[ScalarRating]:
        return [ScalarRating(value=self.value) for _ in replies]


def test_a_logit_is_kept_as_it_is() -> None:
    (signals,) = score([request("One.")], judge=RewardModel(-7.25))
    assert (signals.quality, signals.quality_is_logit) == (-7.25, True)
    (rated,) = score([request("One.")], judge=Judge(4.0))
    assert (rated.quality, rated.quality_is_logit) == (0.75, False)


@pytest.mark.slow
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_logit_that_is_no_number_is_a_failure(value: float) -> None:
    (signals,) = score([request("boom")], judge=RewardModel(value))
    assert signals.status is Status.FAILED
    assert {name: f.kind for name, f in signals.failures.items()} == {
        "tagger": "timeout",
        "judge": "out_of_range",
    }


@pytest.mark.slow
def test_only_the_surprisals_asked_for_are_computed() -> None:
    async def scenario(surprisals: tuple[str, ...]) -> Signals:
        scorer = ReplyScorer(Tagger(), Judge(), surprisals=surprisals)
        (signals,) = await scorer.score([request("Rest. Walk.")])
        return signals

    signals = asyncio.run(scenario(("bigram",)))
    assert (signals.bigram, signals.trigram) == (pytest.approx(math.log(10)), None)
    signals = asyncio.run(scenario(RewardWeights().used_surprisals()))
    assert (signals.bigram, signals.trigram) == (None, None)
