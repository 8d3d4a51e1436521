"""Graded dialogues and their group ids in, what each turn teaches and the step's metrics out. Pure.

Metric keys are documented in docs/metrics.md. Means are over the dialogues with a result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from mint.dialogue.protocol import Ended, Who
from mint.dialogue.record import TalkRecord
from mint.verl.dialogue_wire import GradedDialogue
from mint.verl.group_reward import MISSING, Asked, failure_kinds, mean, reply_metrics, spread
from mint.verl.wire import GradedReply
from rewards.dialogue import group_credit
from rewards.formula import RewardWeights
from rewards.talks import DialogueWeights, GroupCredit, Talk, TalkCredit, Turn
from rewards.types import Failure, Status

HARMFUL = "harmful"
"""What holds a rating down and lets a turn earn nothing, see `Rating.tricks`."""


class DialogueStep(NamedTuple):
    """What one training step's dialogues teach, in the order of the rows given."""

    credits: tuple[TalkCredit, ...]
    groups: dict[str, tuple[int, ...]]
    """Group id -> row positions."""
    num_lost: int
    """Dialogues without a gradient of their own fault, missing ones among them."""
    num_asked: int
    failures: Counter[str]
    """Why dialogues teach nothing -> how many, `MISSING` among them."""
    metrics: dict[str, float]

    @property
    def trained(self) -> tuple[bool, ...]:
        """Whether a dialogue may get a gradient of any kind."""
        return tuple(credit.left_out is None for credit in self.credits)


def dialogue_step(
    rows: Sequence[GradedDialogue],
    uids: Sequence[str],
    weights: DialogueWeights,
    reply: RewardWeights,
    asked: Asked,
    *,
    critic: bool = False,
) -> DialogueStep:
    """Credit of every uid group. Raises ValueError when more came than was asked for."""
    groups: dict[str, list[int]] = {}
    for position, (_, uid) in enumerate(zip(rows, uids, strict=True)):
        groups.setdefault(uid, []).append(position)
    of: dict[int, TalkCredit] = {}
    results = []
    for positions in groups.values():
        talks = [talk_of(rows[p]) for p in positions]
        result = group_credit(talks, weights, reply, critic=critic, asked=asked.replies)
        results.append(result)
        of |= zip(positions, result.talks, strict=True)
    vanished = asked.prompts - len(groups)
    missing = sum(result.num_missing for result in results) + vanished * asked.replies
    credits = tuple(of[position] for position in range(len(rows)))
    own = [
        c.left_out for c in credits if c.left_out is not None and c.left_out.kind != "group_lost"
    ]
    failures = Counter(failure.kind for failure in own) + Counter({MISSING: missing})
    return DialogueStep(
        credits=credits,
        groups={uid: tuple(positions) for uid, positions in groups.items()},
        num_lost=len(own) + missing,
        num_asked=asked.prompts * asked.replies,
        failures=failures,
        metrics={
            **_group_metrics(results, vanished),
            **_credit_metrics(credits),
            **talk_metrics([row.record for row in rows if row.record is not None], missing),
            **turn_metrics([turn for row in rows for turn in row.turns]),
        },
    )


def talk_of(row: GradedDialogue) -> Talk:
    """A graded dialogue as the objective sees it."""
    record = row.record
    if record is None:
        raise ValueError("a reply to a probe is no dialogue")
    if record.lost is not None:
        who, stage, kind, detail = record.lost
        return Talk(start=record.start, turns=(), lost=Failure(f"{who}/{stage}/{kind}", detail))
    turns = tuple(
        Turn(
            emotion=_known(turn.emotion),
            signals=graded.signals,
            format_ok=turn.well_formed,
            vetoes=(HARMFUL,) if HARMFUL in (graded.tricks or ()) else (),
        )
        for turn, graded in zip(record.turns, row.turns, strict=True)
    )
    return Talk(start=record.start, turns=turns)


def talk_metrics(records: Sequence[TalkRecord], missing: int) -> dict[str, float]:
    """How dialogues went: emotions in [0, 100], shares in [0, 1]."""
    heard = [record for record in records if record.lost is None]
    lost = [record.lost for record in records if record.lost is not None]
    asked = max(1, len(records) + missing)
    lines = [faults for record in records for faults in _line_faults(record)]
    return {
        "dialogue/num": float(len(records)),
        "dialogue/num_missing": float(missing),
        "dialogue/lost_frac": (len(lost) + missing) / asked,
        **{f"dialogue/lost_{who}_frac": sum(x.who is who for x in lost) / asked for who in Who},
        **spread("dialogue/emotion", [record.emotion for record in heard]),
        "dialogue/emotion_gain/mean": mean([r.emotion - r.start for r in heard]),
        **{f"dialogue/{end}_frac": mean([r.ended is end for r in heard]) for end in Ended},
        "dialogue/turns/mean": mean([len(record.turns) for record in heard]),
        "dialogue/broken_frac": mean([not t.well_formed for r in heard for t in r.turns]),
        "seeker/fault_frac": mean([bool(faults) for faults in lines]),
    }


def turn_metrics(turns: Sequence[GradedReply]) -> dict[str, float]:
    """Grades of the replies of dialogues, under the names that single replies have."""
    graded = [turn.signals for turn in turns if turn.signals.status is Status.OK]
    return {
        "reward/quality/mean": mean([signals.quality for signals in graded]),
        # Against the policy's own previous turn: the first has none.
        "reward/kl/mean": mean([t.signals.kl for t in turns if t.turn > 0]),
        **reply_metrics(turns, 0, failure_kinds(turns)),
    }


def _group_metrics(results: Sequence[GroupCredit], vanished: int) -> dict[str, float]:
    """`vanished`: groups that were asked for and have no dialogue."""
    gone = [1.0] * vanished
    sizes = [sum(result.trained_G) for result in results] + [0] * vanished
    return {
        "group/num": float(len(results)),
        "group/num_missing": float(vanished),
        "group/frac_flat": mean([result.flat for result in results]),
        "group/frac_partial": mean(
            [not r.lost and (r.num_missing > 0 or not all(r.trained_G)) for r in results]
        ),
        "group/frac_lost": mean([*(float(result.lost) for result in results), *gone]),
        "group/size/min": float(min(sizes, default=0)),
    }


def _credit_metrics(credits: Sequence[TalkCredit]) -> dict[str, float]:
    taught = [credit for credit in credits if credit.left_out is None]
    reasons = [reason for credit in taught for reason in credit.withheld_T]
    return {
        **spread("reward/dialogue", [sum(credit.rewards_T) for credit in taught]),
        **spread("reward/turn", [r for credit in taught for r in credit.rewards_T]),
        **spread("reward/advantage", [a for credit in taught for a in credit.advantages_T]),
        **{
            f"reward/withheld_{reason}_frac": reasons.count(reason) / len(reasons)
            for reason in sorted(set(reasons) - {""})
        },
    }


def _line_faults(record: TalkRecord) -> list[tuple[str, ...]]:
    """The faults of each line of the seeker."""
    return [record.opening_faults, *(turn.faults for turn in record.turns)]


def _known(emotion: float | None) -> float:
    if emotion is None:
        raise ValueError("a dialogue with a result has an emotion after every reply")
    return emotion
