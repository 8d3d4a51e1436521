"""What a seeker is told, what it answers, and how a conversation ends.

One protocol for training, benchmarks, the free-running evaluation, chat and a human. A seeker
object is shared by all conversations of a process and keeps no state: a turn is a function of
person, seed and history, so that two conversations cannot mix (RLVER's released code addresses
simulators by position in a shrinking list, which crosses them).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from rewards.types import Message

INTENTIONS = (
    "not_my_fault",
    "guided_self_reflection",
    "dialectical_analysis",
    "deep_empathy",
    "attentive_listening",
    "analyse_others_motives",
    "actionable_advice",
    "sincere_praise",
)
"""What a person hopes for without saying so: RLVER's eight hidden intentions."""


class Ended(StrEnum):
    """Why a conversation is over; none of these is a failure of the machinery."""

    SATISFIED = "satisfied"
    """The emotion reached the top: a success."""
    DESPAIRED = "despaired"
    """The emotion fell below the floor: a failure of the supporter."""
    TURNS = "turns"
    TOKENS = "tokens"
    """The next message does not fit into the model's context."""
    CLOSED = "closed"
    """The seeker said goodbye."""


class Who(StrEnum):
    """Whose failure lost a conversation."""

    SEEKER = "seeker"
    POLICY = "policy"
    BUDGET = "budget"
    SERVER = "server"
    GRADER = "grader"


class Lost(NamedTuple):
    """A conversation or turn without a result. Never a number, never an empty line."""

    who: Who
    stage: str
    """Where: "open", "analysis", "utterance", "reply", "tagging", ..."""
    kind: str
    """Short class, e.g. "timeout", "off_schema", "exception", "connection"."""
    detail: str


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who is played: RLVER's profile (its `player`, `scene` and `task`)."""

    id: str
    persona: str
    """Name, age, work, habits, way of talking."""
    scene: str
    """What happened, what was tried, how things stand."""
    goal: str
    """What the person wants of the conversation, as it would say it."""
    intention: str
    """One of `INTENTIONS`; never said."""
    raises: tuple[str, ...] = ()
    """Replies that help, in words."""
    lowers: tuple[str, ...] = ()
    """Replies that hurt, in words."""
    opening: str | None = None
    """First message; None: the seeker makes it up."""
    follow_ups: tuple[str, ...] = ()
    """More of the story, told bit by bit by a rule seeker."""
    feelings: tuple[str, ...] = ()
    temper: str = "passive"
    """passive, negative or avoidant (RLVER's `main_cha`)."""
    language: str = "en"


@dataclass(frozen=True, kw_only=True)
class EmotionRules:
    """How an emotion in [0, 100] starts, moves and ends a conversation (RLVER; SAGE)."""

    start: float = 30.0
    floor: float = 0.0
    """A floor of 0 ends a conversation at 0, any other floor below it."""
    top: float = 100.0
    max_change: float | None = None
    """Largest change a turn either way; None: unbounded."""

    def after(self, emotion: float, change: float) -> float:
        """The emotion after a change, within [0, 100]."""
        if self.max_change is not None:
            change = max(-self.max_change, min(self.max_change, change))
        return max(0.0, min(100.0, emotion + change))

    def ended(self, emotion: float) -> Ended | None:
        """Whether that emotion ends the conversation."""
        if emotion >= self.top:
            return Ended.SATISFIED
        fallen = emotion <= 0 if self.floor == 0 else emotion < self.floor
        return Ended.DESPAIRED if fallen else None


class Heard(NamedTuple):
    """A conversation that waits for the seeker."""

    person: Person
    seed: int
    """Shared by siblings (common random numbers); never by two conversations of one person."""
    history: tuple[Message, ...]
    """All messages so far, visible text only; empty, or ending with the supporter's."""
    emotion: float
    """Before the last reply was heard; the rules' start for an empty history."""
    turn: int
    """Supporter replies heard, the newest included; 0 for the opening."""


@dataclass(frozen=True, kw_only=True)
class SeekerTurn:
    """What the seeker makes of a reply."""

    message: str | None
    """The next message; None where the conversation ended without one."""
    emotion: float
    """In [0, 100], after the reply."""
    change: float
    """The change that was applied (0 for the opening)."""
    reason: str
    """Why it changed, for people who read records."""
    ended: Ended | None = None
    faults: tuple[str, ...] = ()
    """Why lines of the seeker were refused and asked again for this turn, each a short class."""


class Seeker(Protocol):
    """Somebody the model talks with; shared by conversations, without state of its own."""

    @property
    def identity(self) -> dict[str, Any]:
        """Kind, preset, model, revision, prompt hash, seed: plain JSON for the manifest."""
        ...

    @property
    def rules(self) -> EmotionRules:
        """The emotion rules of its preset."""
        ...

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        """The next turn; the opening where the history is empty. Never raises for a bad server."""
        ...
