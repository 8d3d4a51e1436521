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
from dataclasses import replace

import numpy as np

from rewards.credit import Floats, leave_one_out, returns_to_go, scaled
from rewards.diversity import kl_divergence
from rewards.formula import FEWEST_SCORED, RewardWeights, group_rewards, raw_reward
from rewards.tactics import TACTIC_INDEX
from rewards.talks import (
    TOP_EMOTION,
    DialogueWeights,
    GroupCredit,
    Talk,
    TalkCredit,
)
from rewards.types import Failure, Signals, Status


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
    weights, reply = weights or DialogueWeights(), reply or RewardWeights()
    size = len(talks_G) if asked is None else asked
    if len(talks_G) > size:
        raise ValueError(f"a group of {size} siblings has {len(talks_G)} dialogues")
    reasons = [_left_out(talk, weights) for talk in talks_G]
    usable = [talk for talk, reason in zip(talks_G, reasons, strict=True) if reason is None]
    needed = (
        1 if critic else max(math.ceil(round(reply.min_scored_fraction * size, 9)), FEWEST_SCORED)
    )
    lost = len(usable) < needed
    if lost:
        few = Failure("group_lost", f"{len(usable)} of {size} dialogues usable, {needed} needed")
        reasons = [reason or few for reason in reasons]
        usable = []
    credits = iter(_credits(usable, weights, reply, critic) if usable else ())
    talks = tuple(next(credits) if r is None else _nothing(r) for r in reasons)
    taught = [v for talk in talks for v in (talk.rewards_T if critic else talk.advantages_T)]
    return GroupCredit(
        talks=talks,
        lost=lost,
        flat=all(abs(value) <= reply.flat_range for value in taught),
        num_missing=size - len(talks_G),
    )


def emotion_rewards(talk: Talk, credit: str) -> list[float]:
    """E_t of each turn: e_T / 100 on the last one with credit terminal, else the changes / 100."""
    emotions = [talk.start, *(turn.emotion for turn in talk.turns)]
    for emotion in emotions:
        if not 0 <= emotion <= TOP_EMOTION:
            raise ValueError(f"an emotion must be in [0, {TOP_EMOTION:g}], got {emotion}")
    if credit == "terminal":
        return [0.0] * (len(talk.turns) - 1) + [emotions[-1] / TOP_EMOTION]
    return [float(change) / TOP_EMOTION for change in np.diff(emotions)]


def own_signals(talk: Talk, weights: DialogueWeights) -> tuple[list[Signals], list[str]]:
    """The turns' signals with novelty against the policy's own previous turn, and why a turn's was
    withheld or cut ("emotion", "unfit", "broken") or "". A turn that said nothing is skipped as
    the previous one. Raises ValueError for a turn without signals."""
    signals_T, withheld_T = [], []
    previous: tuple[float, ...] | None = None
    before = talk.start
    for number, turn in enumerate(talk.turns, start=1):
        if turn.signals is None:
            raise ValueError(f"turn {number} has no signals, and mint.credit.reply needs them")
        counts = _fit(turn.signals.counts, weights.unfit)
        fell = weights.novelty_needs_emotion and turn.emotion < before
        withheld = "broken" if turn.broken else "emotion" if fell else ""
        if turn.signals.status is Status.OK:
            kl = 0.0 if withheld else kl_divergence(previous, counts)
            signals_T.append(replace(turn.signals, kl=kl))
        else:
            signals_T.append(turn.signals)
        unfit = sum(counts) < sum(turn.signals.counts)
        withheld_T.append(withheld or ("unfit" if unfit else ""))
        before = turn.emotion
        previous = counts if sum(counts) else previous
    return signals_T, withheld_T


def _credits(
    talks: Sequence[Talk], weights: DialogueWeights, reply: RewardWeights, critic: bool
) -> list[TalkCredit]:
    emotion_GT = _rows([emotion_rewards(talk, weights.credit) for talk in talks])
    broken_GT = _rows([[float(turn.broken) for turn in talk.turns] for talk in talks])
    reply_GT, withheld = np.where(np.isnan(emotion_GT), np.nan, 0.0), None
    if weights.reply > 0:
        own = [own_signals(talk, weights) for talk in talks]
        withheld = [reasons for _, reasons in own]
        reply_GT = _reply_rewards([signals for signals, _ in own], reply, critic)
    lengths_G1 = np.array([[len(talk.turns)] for talk in talks])
    gains_GT = weights.emotion * emotion_GT + weights.reply * reply_GT / lengths_G1
    rewards_GT = _gated(gains_GT, broken_GT) - weights.broken_penalty * broken_GT
    advantages_GT = 0.0 * emotion_GT  # NaN where a dialogue is over
    if not critic:
        gains_GT = weights.emotion * _emotion_credit(emotion_GT, weights)
        gains_GT += weights.reply * _against(reply_GT, "talking", weights)
        penalty_GT = weights.broken_penalty * leave_one_out(broken_GT, "all")
        advantages_GT = _gated(gains_GT, broken_GT) - penalty_GT
    return [
        TalkCredit(
            rewards_T=_numbers(rewards_GT[g]),
            advantages_T=_numbers(advantages_GT[g]),
            emotion_T=_numbers(emotion_GT[g]),
            reply_T=_numbers(reply_GT[g]),
            withheld_T=tuple(withheld[g]) if withheld else ("",) * len(talk.turns),
            left_out=None,
        )
        for g, talk in enumerate(talks)
    ]


def _emotion_credit(emotion_GT: Floats, weights: DialogueWeights) -> Floats:
    """A(E) of the module docstring, [G, T]."""
    returns_GT = returns_to_go(emotion_GT)
    if weights.credit == "terminal":
        whole_G1 = _against(returns_GT[:, :1], "all", weights)
        return np.where(np.isnan(emotion_GT), np.nan, whole_G1)
    if weights.credit == "return":
        return _against(returns_GT, weights.baseline, weights)
    if weights.credit == "immediate":
        return _against(emotion_GT, weights.baseline, weights)
    each = [scaled(values, weights.baseline) for values in (returns_GT, emotion_GT)]
    return 0.5 * each[0] + 0.5 * each[1]


def _against(values_GT: Floats, baseline: str, weights: DialogueWeights) -> Floats:
    compare = scaled if weights.scale == "std" else leave_one_out
    return compare(values_GT, baseline)


def _reply_rewards(
    signals: Sequence[Sequence[Signals]], reply: RewardWeights, critic: bool
) -> Floats:
    """M_t of each turn, [G, T]: against the siblings at that turn, or with fixed scales."""
    if critic:
        return _rows([[raw_reward(s, reply) or 0.0 for s in turns] for turns in signals])
    reward_GT = _rows([[0.0] * len(turns) for turns in signals])
    for t in range(reward_GT.shape[1]):
        talking = [g for g, turns in enumerate(signals) if t < len(turns)]
        reward_GT[talking, t] = group_rewards([signals[g][t] for g in talking], reply).scores
    return reward_GT


def _gated(gains_GT: Floats, broken_GT: Floats) -> Floats:
    return np.where(broken_GT > 0, np.minimum(gains_GT, 0.0), gains_GT)


def _left_out(talk: Talk, weights: DialogueWeights) -> Failure | None:
    if talk.lost is not None:
        return talk.lost
    if not talk.turns:
        return Failure("no_turn", "the policy never replied")
    for number, turn in enumerate(talk.turns, start=1):
        signals = turn.signals
        if weights.reply > 0 and signals is not None and signals.status is Status.FAILED:
            return Failure("not_graded", f"turn {number}: {signals.reason}")
    return None


def _nothing(reason: Failure) -> TalkCredit:
    return TalkCredit((), (), (), (), (), reason)


def _fit(counts: Sequence[float], unfit: Sequence[str]) -> tuple[float, ...]:
    out = {TACTIC_INDEX[name] for name in unfit}
    return tuple(0.0 if i in out else float(count) for i, count in enumerate(counts))


def _numbers(row_T: Floats) -> tuple[float, ...]:
    """A row without what stands after its end."""
    return tuple(row_T[~np.isnan(row_T)].tolist())


def _rows(values: Sequence[Sequence[float]]) -> Floats:
    """[G, T] of rows of different lengths, NaN after their end."""
    rows = np.full((len(values), max(map(len, values))), np.nan)
    for row, numbers in zip(rows, values, strict=True):
        row[: len(numbers)] = numbers
    return rows


RLVER = DialogueWeights(credit="terminal")
MINT = DialogueWeights(emotion=0.0, reply=1.0, novelty_needs_emotion=False, unfit=())
