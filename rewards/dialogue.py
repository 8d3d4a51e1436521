"""The reward of whole conversations: sibling dialogues in, rewards and advantages a turn out.

RLVER's emotion (arXiv 2507.03112) and MINT's reply reward (arXiv 2604.11742) in one objective. For
dialogue i of a group, with emotion e_t in [0, 100] of the person after turn t (e_0 before the
first), T_i turns, and b_t = 1 where turn t broke the format or a veto:

    E_t = (e_t - e_{t-1}) / 100                      in [-1, 1]; credit return, immediate, mixed
    E_t = e_T / 100 on the last turn, else 0         in [0, 1]; credit terminal (RLVER)
    M_t = rewards.formula of turn t                  MINT; among the siblings at turn t, or with
                                                     fixed scales for a critic
    r_t = emotion * E_t + reply * M_t / T_i - broken_penalty * b_t
    A_t = emotion * A(E)_t + reply * A(M)_t - broken_penalty * (b_t - others' share of b at t)

with the first two terms of both cut to at most 0 where b_t = 1: such a turn earns nothing.

| term             | what it is, and where from                                                  |
|------------------|-----------------------------------------------------------------------------|
| E terminal       | RLVER's r = e_T / 100                                                       |
| E a turn         | the change; sums to (e_T - e_0) / 100, the same optimum (RLVER forks, MICA) |
| M                | quality and novelty as `mint.reward` weighs them, MINT. /T_i: a mean over   |
|                  | the dialogue, so that talking longer earns nothing by itself                |
| novelty in M     | KL of the turn's tactics against the policy's *own* previous turn, [0, 5]   |
|                  | nats; 0 where the emotion fell (`novelty_needs_emotion`), without moves     |
|                  | unfit for a program (`UNFIT`)                                               |
| broken           | the turn lacks the think block it must have (RLVER pays 0 then), or a veto  |

A(E), the emotion's credit:

    terminal   e_T / 100 less the others' e_T / 100, the same at every turn (RLVER's GRPO)
    return     E_t + E_{t+1} + ... less the others' at that turn; an ended dialogue counts 0
    immediate  E_t less the others'
    mixed      half return, half immediate, each in units of its own deviation (MICA, 2603.06194)

A(M) is always M_t less that of the others who talk at turn t: MINT rewards a reply among replies.
With `scale` std both are in units of their deviation in the group, as in GRPO and so that weights
of different terms compare; none leaves them as they are. emotion = 1, reply = 0 is RLVER; emotion =
0, reply = 1, novelty_needs_emotion = false, unfit = [] is MINT (`RLVER`, `MINT` below).

Left out, with a reason and never with a number: a dialogue that was lost, one without a turn, one
with a turn that a grader failed on where M counts. If fewer than two siblings, or a smaller share
than `rewards.formula` asks for, are left, the group teaches nothing; a critic needs no siblings.
Suffixes: _G a dialogue of the group, _T a turn of a dialogue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from rewards.credit import BASELINES, Floats, leave_one_out, returns_to_go, scaled
from rewards.diversity import kl_divergence
from rewards.errors import ConfigError
from rewards.formula import FEWEST_SCORED, RewardWeights, group_rewards, raw_reward
from rewards.tactics import TACTIC_INDEX
from rewards.types import Failure, Signals, Status

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


RLVER = DialogueWeights(credit="terminal")
MINT = DialogueWeights(emotion=0.0, reply=1.0, novelty_needs_emotion=False, unfit=())


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
    """No turn is better or worse than another."""
    num_missing: int
    """Dialogues that were asked for and never came back."""

    @property
    def trained_G(self) -> tuple[bool, ...]:
        """Whether a dialogue may get a gradient of any kind."""
        return tuple(talk.left_out is None for talk in self.talks)


def group_credit(
    talks_G: Sequence[Talk],
    weights: DialogueWeights | None = None,
    reply: RewardWeights | None = None,
    *,
    critic: bool = False,
    asked: int | None = None,
) -> GroupCredit:
    """Credit of sibling dialogues with one person. See the module docstring.

    `critic`: a critic judges (PPO), so siblings are not needed and M has fixed scales. `asked`: how
    many siblings there should be; None: those given. Raises ValueError for an emotion outside [0,
    100], missing signals, or more dialogues than asked for.
    """
    raise NotImplementedError


def _require(condition: bool, name: str, rule: str, got: object) -> None:
    if not condition:
        raise ConfigError(f"mint.credit.{name} must {rule}, got {got}")
