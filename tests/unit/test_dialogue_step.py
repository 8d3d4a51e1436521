"""Dialogues on their way to a gradient: wire format, credit of a step, samples, metrics."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest

from mint.config.schema import GradingConfig
from mint.dialogue.protocol import Ended, Lost, Who
from mint.dialogue.record import TalkRecord, TurnRecord
from mint.verl.dialogue_samples import lost_rows, talk_samples
from mint.verl.dialogue_step import dialogue_step, talk_metrics, talk_of
from mint.verl.dialogue_wire import (
    GradedDialogue,
    pack_dialogue,
    unpack_dialogue,
    unpack_dialogue_columns,
)
from mint.verl.failure_watch import Failed, FailureWatch, Words
from mint.verl.group_reward import MISSING, Asked
from mint.verl.wire import GradedReply
from rewards.dialogue import RLVER
from rewards.formula import RewardWeights
from rewards.talks import DialogueWeights
from rewards.types import Signals, Status

LOST = Lost(Who.SEEKER, "analysis", "timeout", "15 s")


def record(*emotions: float, lost: Lost | None = None, **more: Any) -> TalkRecord:
    """A dialogue whose person felt so after each reply."""
    turns = [
        TurnRecord(raw="I see.", visible="I see.", well_formed=True, tokens=4, complete=True,
                   emotion=e, change=0.0, message="Hm.")
        for e in emotions
    ]  # fmt: skip
    ended = None if lost else more.pop("ended", Ended.TURNS)
    return TalkRecord(
        person="ada", intention="deep_empathy", seed=1, seeker="x", start=40.0, opening="Hello.",
        turns=tuple(turns), ended=ended, lost=lost, **more,
    )  # fmt: skip


def graded(turn: int, *, quality: float = 0.5, counts: int = 3, **more: Any) -> GradedReply:
    of = tuple(float(k == counts) for k in range(10))
    signals = Signals(
        status=Status.OK,
        quality=quality,
        kl=0.4,
        entropy=0.0,
        bigram=0.0,
        trigram=0.0,
        num_tokens=4,
        counts=of,
    )
    return GradedReply(
        signals=more.pop("signals", signals), reply="I see.", seeker="Hello.",
        conversation_id="ada", turn=turn, previous_counts=(0.0,) * 10, sentences=("I see.",),
        tactics=(("validation",),), dimensions={}, grade_s=0.1, **more,
    )  # fmt: skip


def dialogue(*emotions: float, lost: Lost | None = None, **more: Any) -> GradedDialogue:
    turns = tuple(graded(turn, **more) for turn in range(len(emotions)))
    return GradedDialogue(record(*emotions, lost=lost), turns)


def test_round_trip_with_the_same_keys_whatever_happened() -> None:
    rows = [
        dialogue(50, 60),
        dialogue(50, lost=LOST),
        GradedDialogue(record(lost=LOST), ()),
        GradedDialogue(None, (graded(0),)),
    ]
    packed = [pack_dialogue(row) for row in rows]
    assert [unpack_dialogue(wire) for wire in packed] == rows
    assert len({frozenset(wire) for wire in packed}) == 1
    assert [math.isnan(float(wire["emotion"])) for wire in packed] == [False, True, True, True]
    columns = {name: [wire[name] for wire in packed] for name in packed[0]}
    assert unpack_dialogue_columns({**columns, "reward": [0.0] * 4}) == rows


def test_lost_dialogues_are_left_out_of_the_groups_statistics() -> None:
    rows = [dialogue(50, 60), dialogue(40, 30), dialogue(50, lost=LOST)]
    step = dialogue_step(rows, ["a"] * 3, RLVER, RewardWeights(), Asked(1, 3))
    alone = dialogue_step(rows[:2], ["a"] * 2, RLVER, RewardWeights(), Asked(1, 2))
    assert step.trained == (True, True, False)
    assert step.credits[:2] == alone.credits
    assert step.credits[2].advantages_T == ()
    up, down = step.credits[0].advantages_T, step.credits[1].advantages_T
    assert up[0] > 0 > down[0]
    assert len(set(up)) == len(set(down)) == 1, "terminal: one number a dialogue"
    assert step.num_lost == 1
    assert step.failures == Counter({"seeker/analysis/timeout": 1})
    assert step.metrics["group/frac_partial"] == 1.0
    assert step.metrics["dialogue/lost_frac"] == pytest.approx(1 / 3)
    assert step.metrics["dialogue/lost_seeker_frac"] == pytest.approx(1 / 3)
    assert step.metrics["dialogue/lost_policy_frac"] == 0.0
    assert step.metrics["dialogue/emotion/mean"] == 45.0


def test_a_group_with_one_survivor_teaches_nothing() -> None:
    rows = [dialogue(90), dialogue(50, lost=LOST), dialogue(70), dialogue(30)]
    step = dialogue_step(rows, ["a", "a", "b", "b"], RLVER, RewardWeights(), Asked(2, 2))
    assert step.trained == (False, False, True, True)
    assert step.metrics["group/frac_lost"] == 0.5
    assert step.num_lost == 1, "the survivor is no failure"


def test_missing_dialogues_and_groups_are_counted() -> None:
    rows = [dialogue(50), dialogue(60), dialogue(70)]
    step = dialogue_step(rows, ["a"] * 3, RLVER, RewardWeights(), Asked(3, 4))
    assert step.num_asked == 12
    assert step.failures[MISSING] == 9
    assert step.num_lost == 9
    assert step.metrics["group/num_missing"] == 2
    assert step.metrics["group/frac_lost"] == pytest.approx(2 / 3)
    assert step.metrics["dialogue/lost_frac"] == 0.75


def test_a_critic_needs_no_siblings() -> None:
    step = dialogue_step(
        [dialogue(50, 90)], ["a"], RLVER, RewardWeights(), Asked(1, 1), critic=True
    )
    assert step.trained == (True,)
    assert step.credits[0].rewards_T == (0.0, 0.9)


def test_the_return_to_go_credits_turns_one_by_one() -> None:
    rows = [dialogue(60, 60), dialogue(40, 60)]
    weights = DialogueWeights(credit="return", scale="none")
    step = dialogue_step(rows, ["a"] * 2, weights, RewardWeights(), Asked(1, 2))
    assert step.credits[0].advantages_T == pytest.approx((0.0, -0.2))
    assert step.credits[1].advantages_T == pytest.approx((0.0, 0.2))


def test_a_failed_grade_costs_a_dialogue_only_where_grades_are_rewarded() -> None:
    failed = Signals(status=Status.FAILED, reason="tagger: timeout: slow")
    rows = [
        GradedDialogue(record(50), (graded(0, signals=failed),)),
        dialogue(60),
        dialogue(70),
    ]
    asked = Asked(1, 3)
    free = dialogue_step(rows, ["a"] * 3, RLVER, RewardWeights(), asked)
    joined = dialogue_step(rows, ["a"] * 3, DialogueWeights(reply=1.0), RewardWeights(), asked)
    assert free.trained == (True, True, True)
    assert joined.trained == (False, True, True)
    assert joined.failures["not_graded"] == 1


def test_harm_and_a_broken_format_reach_the_objective() -> None:
    row = dialogue(50, 60)
    turns = (row.turns[0]._replace(tricks=("unrelated", "harmful")), row.turns[1])
    assert talk_of(row._replace(turns=turns)).turns[0].vetoes == ("harmful",)
    assert talk_of(row).turns[1].format_ok
    assert not talk_of(row).turns[0].vetoes


def test_ends_and_seeker_faults_are_shares() -> None:
    records = [
        record(100, ended=Ended.SATISFIED, opening_faults=("leaks",)),
        record(5, 3, ended=Ended.DESPAIRED),
        record(50, 60),
        record(50, lost=Lost(Who.POLICY, "reply", "timeout", "")),
    ]
    found = talk_metrics(records, missing=1)
    assert found["dialogue/satisfied_frac"] == pytest.approx(1 / 3)
    assert found["dialogue/despaired_frac"] == pytest.approx(1 / 3)
    assert found["dialogue/turns_frac"] == pytest.approx(1 / 3)
    assert found["dialogue/turns/mean"] == pytest.approx(5 / 3)
    assert found["dialogue/lost_frac"] == pytest.approx(2 / 5)
    assert found["dialogue/lost_policy_frac"] == pytest.approx(1 / 5)
    assert found["seeker/fault_frac"] == pytest.approx(1 / 10), "4 openings and 6 turns"
    assert found["dialogue/emotion_gain/mean"] == pytest.approx((60 - 37 + 20) / 3)


def test_samples_are_whole_dialogues_and_lost_ones_are_kept() -> None:
    rows = [dialogue(50, 90), dialogue(40), dialogue(45), dialogue(50, lost=LOST)]
    step = dialogue_step(rows, ["a"] * 4, RLVER, RewardWeights(), Asked(1, 4))
    best, worst = talk_samples(3, rows, ["a"] * 4, step, 2)
    assert (best["rank"], worst["rank"]) == ("best", "worst")
    assert (best["reward"], worst["reward"]) == (0.9, 0.4)
    assert TalkRecord.from_json(best["dialogue"]) == rows[0].record
    (lost,) = lost_rows(3, rows, ["a"] * 4)
    assert lost["dialogue"]["lost"]["kind"] == "timeout"
    assert json.loads(json.dumps(lost)) == lost


def test_too_many_lost_dialogues_end_a_run_in_words_of_their_own() -> None:
    words = Words("dialogues", "were lost", "Mend what lost them")
    watch = FailureWatch(GradingConfig(), "RUN/lost_dialogues.jsonl", words)
    kinds = Counter({"seeker/open/connection": 30})
    problem = watch.look(4, Failed(30, 32, 1.0, kinds, ["no server"]))
    assert problem.startswith("step 4: 94% of the dialogues were lost (100% of the groups lost)")
    assert "seeker/open/connection 30" in problem
    assert "for example 'no server'" in problem
    assert "RUN/lost_dialogues.jsonl" in problem
    assert watch.look(5, Failed(1, 32, 0.0, Counter(), [])) == ""
