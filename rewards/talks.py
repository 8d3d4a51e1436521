"""Dialogues that are to be rewarded, by what, and what they teach; frozen, free of frameworks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from rewards.credit import BASELINES
from rewards.errors import ConfigError
from rewards.tactics import TACTIC_INDEX
from rewards.types import Failure, Signals

CREDITS = ("terminal", "return", "immediate", "mixed")
SCALES = ("std", "none")
TOP_EMOTION = 100.0
UNFIT = ("self_disclosure",)
"""Moves that are new but not fit for a program: it has no life of its own to tell of."""


@dataclass(frozen=True, kw_only=True)
class DialogueWeights:
    """What a conversation is rewarded for and which turn gets the credit."""

    credit: str = "return"
    """terminal (RLVER), return, immediate or mixed (MICA): how the emotion reaches turns."""
    baseline: str = "all"
    """all: a sibling that is over counts 0; talking: compare with those who still talk."""
    scale: str = "std"
    """std: each term in units of its deviation in the group, as in GRPO; none."""
    emotion: float = 1.0
    """Weight of the person's emotion, >= 0."""
    reply: float = 0.0
    """Weight of MINT's reward of the turns (`mint.reward` says of what), >= 0."""
    broken_penalty: float = 1.0
    """Taken off a turn that breaks the format or a veto, >= 0; 1 is what an emotion of 100 pays."""
    novelty_needs_emotion: bool = True
    """Novelty counts only in turns after which the emotion is not lower."""
    unfit: tuple[str, ...] = UNFIT
    """Tactics that never count as novel."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "unfit", tuple(self.unfit))
        for name, allowed in (("credit", CREDITS), ("baseline", BASELINES), ("scale", SCALES)):
            value = getattr(self, name)
            _require(value in allowed, name, f"be one of {', '.join(allowed)}", value)
        for name in ("emotion", "reply", "broken_penalty"):
            value = getattr(self, name)
            _require(0 <= value < math.inf, name, "be >= 0 and finite", value)
        _require(self.emotion + self.reply > 0, "emotion/reply", "not both be 0", 0)
        for tactic in self.unfit:
            _require(tactic in TACTIC_INDEX, "unfit", "name tactics", tactic)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One reply of the policy in a dialogue and what became of it."""

    emotion: float
    """Of the person after the reply, in [0, 100]."""
    signals: Signals | None = None
    """The graded reply; None where `reply` is 0 and nothing was graded."""
    format_ok: bool = True
    """Whether it has the think block it must have; True where none is asked for."""
    vetoes: tuple[str, ...] = ()
    """Why the turn must not be rewarded ("harmful", ...)."""

    @property
    def broken(self) -> bool:
        """Whether it broke the format or a veto."""
        return not self.format_ok or bool(self.vetoes)


@dataclass(frozen=True, kw_only=True)
class Talk:
    """One dialogue of a group."""

    start: float
    """The person's emotion before the first reply, in [0, 100]."""
    turns: tuple[Turn, ...]
    lost: Failure | None = None
    """Why the dialogue has no result; None: it has one."""


class TalkCredit(NamedTuple):
    """What one dialogue teaches, a number a turn; empty tuples where it is left out."""

    rewards_T: tuple[float, ...]
    """r_t, for a critic."""
    advantages_T: tuple[float, ...]
    """A_t; 0s for a group that is judged by a critic."""
    emotion_T: tuple[float, ...]
    """E_t."""
    reply_T: tuple[float, ...]
    """M_t; 0s where `reply` is 0."""
    withheld_T: tuple[str, ...]
    """Why novelty was withheld or cut ("emotion", "unfit", "broken"), else ""."""
    left_out: Failure | None
    """Why it teaches nothing; None: it is trained on."""


class GroupCredit(NamedTuple):
    """Credit of one group, dialogues in their order."""

    talks: tuple[TalkCredit, ...]
    lost: bool
    """Too few dialogues have a result: nobody is trained on."""
    flat: bool
    """No turn is better or worse than another; with a critic: no turn earned or lost anything."""
    num_missing: int
    """Dialogues that were asked for and never came back."""

    @property
    def trained_G(self) -> tuple[bool, ...]:
        """Whether a dialogue may get a gradient of any kind."""
        return tuple(talk.left_out is None for talk in self.talks)


def _require(condition: bool, name: str, rule: str, got: object) -> None:
    if not condition:
        raise ConfigError(f"mint.credit.{name} must {rule}, got {got}")
