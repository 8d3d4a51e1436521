"""Graders that follow a rule on the text, for tests of what is built on graders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rewards.types import (
    DIMENSIONS,
    Failure,
    GraderIdentity,
    Rating,
    Reply,
    TaggedSentence,
    Tagging,
)


def question_or_validation(sentence: str) -> tuple[str, ...]:
    """Tactics of a sentence."""
    return ("questioning",) if "?" in sentence else ("validation",)


class FakeTagger:
    """Tags each given sentence by a rule; fails on replies that contain `fail_on`."""

    def __init__(
        self,
        rule: Callable[[str], tuple[str, ...]] = question_or_validation,
        fail_on: str | None = None,
        revision: str = "1",
    ) -> None:
        self.identity = GraderIdentity(kind="fake", name="tagger", revision=revision)
        self.asked = 0
        self._rule, self._fail_on = rule, fail_on

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        self.asked += len(replies)
        return [
            Failure("timeout", "slow")
            if self._fail_on is not None and self._fail_on in reply.text
            else Tagging(
                sentences=tuple(TaggedSentence(s, self._rule(s), {}) for s in reply.sentences or ())
            )
            for reply in replies
        ]


class FakeJudge:
    """Gives every reply the same rating: 3 in each dimension, but for the changes."""

    identity = GraderIdentity(kind="fake", name="judge", revision="1")

    def __init__(self, **changes: float) -> None:
        self._dimensions = dict.fromkeys(DIMENSIONS, 3.0) | changes

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        return [Rating.from_dimensions(self._dimensions) for _ in replies]
