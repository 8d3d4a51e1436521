"""Values that pass between graders, scorer, formula and trainer; frozen, free of frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from rewards.errors import DataError
from rewards.tactics import NUM_TACTICS, count_tactics
from rewards.thoughts import without_thoughts

Role = Literal["seeker", "supporter"]
_ROLES: dict[str, Role] = {
    "seeker": "seeker",
    "user": "seeker",
    "supporter": "supporter",
    "assistant": "supporter",
}

DIMENSIONS: tuple[str, ...] = (
    "validating_emotions",
    "encouraging_elaboration",
    "demonstrating_understanding",
    "advice_giving",
    "self_oriented",
    "dismissing_emotions",
)
"""Six dimensions of Lend-an-Ear (arXiv 2506.10150), rated 1 (not at all) to 5 (very much)."""

LOWEST_RATING, HIGHEST_RATING = 1.0, 5.0
"""Ends of the scale of a dimension and of the aggregate."""

NEGATIVE_DIMENSIONS = frozenset({"advice_giving", "self_oriented", "dismissing_emotions"})
"""Dimensions where a low rating is the better one."""


class Message(NamedTuple):
    """One message of a conversation."""

    role: Role
    content: str

    @classmethod
    def parse(cls, raw: object) -> Message:
        """A message from {"role", "content"}; chat roles user/assistant are accepted as well.

        Thoughts that a log has kept in a supporter's message are left out: nobody read them.
        Raises DataError.
        """
        if not isinstance(raw, Mapping) or not {"role", "content"} <= set(raw):
            raise DataError(f"a message needs 'role' and 'content', got {raw!r:.80}")
        if not isinstance(raw["role"], str) or raw["role"] not in _ROLES:
            raise DataError(f"role must be one of {', '.join(_ROLES)}, got {raw['role']!r}")
        if not isinstance(raw["content"], str):
            raise DataError(f"content must be text, got {type(raw['content']).__name__}")
        role, content = _ROLES[raw["role"]], raw["content"]
        if role == "supporter":
            spoken = without_thoughts(content).text
            if content.strip() and not spoken:
                raise DataError("content holds nothing but private thoughts")
            content = content if spoken == content.strip() else spoken
        return cls(role, content)


class Failure(NamedTuple):
    """Why one reply could not be graded. Never turned into a number (see `rewards.formula`)."""

    kind: str
    """Short class of the failure, e.g. "timeout", "off_schema", "exception"."""
    message: str


class TaggedSentence(NamedTuple):
    """A sentence, the tactics found in it, and each tactic's probability in [0, 1]."""

    text: str
    tactics: tuple[str, ...]
    probabilities: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Tagging:
    """Tactics of one reply, sentence by sentence."""

    sentences: tuple[TaggedSentence, ...]
    repeat_std: float | None = None
    """Mean standard deviation of the probabilities over repeated gradings; None: graded once."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of sentences that carry each of the ten tactics."""
        return count_tactics(sentence.tactics for sentence in self.sentences)


@dataclass(frozen=True, kw_only=True)
class Rating:
    """Empathy rating of one reply: the six dimensions, each in [1, 5]."""

    dimensions: Mapping[str, float]
    aggregate: float
    """Mean of the six with the negative ones mirrored (6 - x), in [1, 5]; higher is better."""
    uncertainty: float | None = None
    """Standard deviation of the error that the judge expects of its aggregate; None if unknown."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """What the aggregate was joined from, by name; empty for a judge without parts.

    The embedded judge gives manner in [1, 5] and the chances in [0, 1] that the reply belongs to
    the conversation (relevance), is language a person would write (coherence) and does harm (harm).
    """
    tricks: tuple[str, ...] = ()
    """What held the rating down: tricks of the reply, and parts with a veto ("unrelated",
    "incoherent", "harmful"); see `rewards.graders.embedded.guard`."""
    repeat_std: float | None = None
    """Standard deviation of the aggregate over repeated gradings; None: graded once."""

    @classmethod
    def from_dimensions(cls, dimensions: Mapping[str, float]) -> Rating:
        """A rating whose aggregate follows the definition of Lend-an-Ear's evaluation."""
        return cls(dimensions=dimensions, aggregate=aggregate_empathy(dimensions))


@dataclass(frozen=True, kw_only=True)
class ScalarRating:
    """What a reward model says of one reply: a single number without dimensions or bounds."""

    value: float
    """Bradley-Terry logit: only differences between replies to one prompt mean something."""
    repeat_std: float | None = None
    """Standard deviation of the value over repeated gradings; None: graded once."""


def scaled_rating(aggregate: float) -> float:
    """A rating of [1, 5] on [0, 1]."""
    return (aggregate - LOWEST_RATING) / (HIGHEST_RATING - LOWEST_RATING)


def aggregate_empathy(dimensions: Mapping[str, float]) -> float:
    """mean(V, E, U, 6-A, 6-S, 6-D), in [1, 5]. Raises DataError when a dimension is missing."""
    missing = [name for name in DIMENSIONS if name not in dimensions]
    if missing:
        raise DataError(f"rating lacks {', '.join(missing)}")
    values = [
        6.0 - dimensions[name] if name in NEGATIVE_DIMENSIONS else dimensions[name]
        for name in DIMENSIONS
    ]
    return sum(values) / len(values)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A supporter reply to be graded, with what came before it."""

    history: tuple[Message, ...]
    """Earlier messages, oldest first, without the system prompt; ends with a seeker message."""
    text: str
    """The visible reply: no thinking, no special tokens."""
    sentences: tuple[str, ...] | None = None
    """The reply's sentences when the caller has split it already."""

    @property
    def seeker_turn(self) -> str:
        """The last seeker message, or "" when there is none."""
        turns = [message.content for message in self.history if message.role == "seeker"]
        return turns[-1] if turns else ""


class Status(StrEnum):
    """What happened to a reply on its way to a reward."""

    OK = "ok"
    """Graded in full."""
    FAILED = "failed"
    """A grader failed; the reply gets no gradient."""
    EMPTY = "empty"
    """Nothing visible was said."""
    TRUNCATED_THINK = "truncated_think"
    """The reply ended inside an unclosed <think> block."""


@dataclass(frozen=True, kw_only=True)
class Signals:
    """Raw, un-normalised signals of one reply. None where `status` is not OK."""

    status: Status
    reason: str = ""
    """Why, for every status but OK."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """"tagger", "judge" -> why it failed; filled only when `status` is FAILED."""
    quality: float | None = None
    """Judge aggregate mapped to [0, 1], or a reward model's logit as it is; higher is better."""
    quality_is_logit: bool = False
    """Whether `quality` is an unbounded logit."""
    kl: float | None = None
    """Tactic novelty against the previous supporter turn, [0, 5] nats."""
    entropy: float | None = None
    """Tactic variety within the reply, [0, ln 10] nats."""
    bigram: float | None = None
    """Surprisal of tactic bigrams given the conversation, nats; None when not asked for."""
    trigram: float | None = None
    """Surprisal of tactic trigrams given the conversation, nats; None when not asked for."""
    num_tokens: int = 0
    """Length of the visible reply in the policy's tokens."""
    label_leak: bool = False
    """Whether the reply names its tactics (headers, "tactics used: ...")."""
    truncated: bool = False
    """Whether generation stopped at the length limit instead of an end token."""
    counts: tuple[int, ...] = (0,) * NUM_TACTICS
    tagging: Tagging | None = None
    rating: Rating | ScalarRating | None = None


@dataclass(frozen=True, kw_only=True)
class GraderIdentity:
    """What graded a run; two runs compare only when these are equal."""

    kind: str
    name: str
    revision: str
    """Hash of the weights (embedded) or model revision (served)."""
    details: Mapping[str, Any] = field(default_factory=dict)


class ServerHealth(NamedTuple):
    """Answer of one grader server to a health check."""

    url: str
    up: bool
    latency_s: float
    """Seconds until the answer, or until it was clear that there is none."""
