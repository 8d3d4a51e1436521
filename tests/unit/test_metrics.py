from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics import pooled, wording
from mint.evaluation.metrics.means import MEANS, cluster_sums, counted, estimates
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.results import Outcome, outcome_row
from mint.validation.measure import wording_figures
from rewards.errors import DataError
from rewards.tactics import TACTIC_INDEX, TACTIC_NAMES


def vector(names: Sequence[str]) -> tuple[int, ...]:
    return tuple(int(name in names) for name in TACTIC_NAMES)


def reply(
    conversation: str = "c1",
    turn: int = 1,
    now: Sequence[str] = (),
    previous: Sequence[str] = (),
    **values: Any,
) -> EvaluatedReply:
    defaults: dict[str, Any] = {
        "conversation_id": conversation,
        "turn": turn,
        "sample": 0,
        "seeker": "I am tired.",
        "reply": "That sounds hard.",
        "status": "ok",
        "previous_counts": vector(previous),
        "has_previous": turn > 0,
        "num_tokens": 4,
        "truncated": False,
        "composite": 1.0,
        "empathy": 4.0,
        "dimensions": {"advice_giving": 2.0},
        "kl": 1.0,
        "entropy": 0.5,
        "counts": vector(now),
    }
    return EvaluatedReply(**{**defaults, **values})


def failed(**values: Any) -> EvaluatedReply:
    none: dict[str, Any] = dict.fromkeys(("composite", "empathy", "kl", "entropy"))
    return reply(**{**none, "status": "failed", "dimensions": {}, "counts": (), **values})


def measure(replies: Sequence[EvaluatedReply]) -> dict[str, float]:
    names = sorted({r.conversation_id for r in replies})
    totals = cluster_sums(replies, names).sum(axis=0, keepdims=True)
    return {name: float(values[0]) for name, values in estimates(totals).items()}


V, Q, A = "validation", "questioning", "advice"


def test_means_are_over_the_replies_that_have_the_value():
    found = measure([reply(composite=1.0), reply(composite=2.0, empathy=5.0), failed()])
    assert found["composite"] == 1.5
    assert found["empathy"] == 4.5
    assert found["failed"] == pytest.approx(1 / 3)
    assert found["advice_giving"] == 2.0


def test_empty_reply_counts_in_the_composite_but_not_in_what_needs_grading():
    empty = failed(status="empty", composite=-0.5, now=())
    found = measure([reply(now=[V, Q]), empty])
    assert found["composite"] == 0.25
    assert found["empty"] == 0.5
    assert found["tactics_per_turn"] == 2.0
    assert found["failed"] == 0.0


def test_tactics_per_turn_counts_distinct_tactics():
    three = list(vector([V]))
    three[TACTIC_INDEX[V]] = 3
    assert measure([reply(counts=tuple(three)), reply(now=[V, Q, A])])["tactics_per_turn"] == 2.0


def test_prevalence_is_the_share_of_replies():
    found = measure([reply(now=[V]), reply(now=[V, Q]), reply(now=[]), reply(now=[Q])])
    assert found["prevalence/validation"] == 0.5
    assert found["prevalence/questioning"] == 0.5
    assert found["prevalence/advice"] == 0.0


def test_stickiness_and_lift_by_hand():
    replies = [
        reply(previous=[V], now=[V]),
        reply(previous=[V], now=[Q]),
        reply(previous=[V], now=[V, Q]),
        reply(previous=[Q], now=[V]),
        reply(previous=[], now=[V]),
    ]
    found = measure(replies)
    # P(V|V) = 2/3, P(Q|Q) = 0/1; other tactics never came before.
    assert found["stickiness"] == pytest.approx((2 / 3 + 0) / 2)
    # P(V|not V) = 2/2, P(Q|not Q) = 2/4.
    assert found["lift"] == pytest.approx(((2 / 3 - 1) + (0 - 1 / 2)) / 2)


def test_first_turns_say_nothing_about_repetition():
    later = [reply(previous=[V], now=[V]), reply(previous=[Q], now=[])]
    first = [reply(turn=0, now=[V]) for _ in range(5)]
    assert measure(later + first)["stickiness"] == measure(later)["stickiness"]
    assert measure(later + first)["lift"] == measure(later)["lift"]


def test_failed_replies_do_not_look_like_variety():
    sticky = [reply(previous=[V], now=[V])]
    assert measure([*sticky, failed(previous=[V])])["stickiness"] == 1.0


def test_lift_leaves_out_a_tactic_that_was_always_there():
    found = measure([reply(previous=[V], now=[V]), reply(previous=[V], now=[])])
    assert found["stickiness"] == 0.5
    assert np.isnan(found["lift"])


def test_without_previous_turns_repetition_is_undefined():
    found = measure([reply(turn=0, now=[V])])
    assert np.isnan(found["stickiness"])
    assert np.isnan(found["lift"])


def test_sums_are_per_conversation_and_add_up():
    replies = [reply("a", composite=1.0), reply("b", composite=3.0), reply("b", composite=5.0)]
    sums = cluster_sums(replies, ["a", "b"])
    column = list(MEANS).index("composite")
    assert sums[:, column].tolist() == [1.0, 8.0]
    assert sums[:, len(MEANS) + column].tolist() == [1.0, 2.0]
    whole = cluster_sums([*replies[1:], replies[0]], ["a", "b"])
    assert np.array_equal(sums, whole)


def test_counted_replies():
    n = counted(cluster_sums([reply(), reply(turn=0), failed()], ["c1"]))
    assert n["composite"] == 2
    assert n["failed"] == 3
    assert n["stickiness"] == n["lift"] == 1


def test_human_supporters_repeat_as_published(upstream):
    """Stickiness, and its excess over chance, of the human supporters over 265 pairs."""
    path = upstream / "data/lend_an_ear_eval/tactic_results/turn_level_tactics.csv"
    turns = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            names = [name for name in TACTIC_NAMES if int(row[name]) > 0]
            turns[row["conversation_id"]].append((int(row["supporter_turn_index"]), names))
    replies = []
    for conversation, own in turns.items():
        sets = [names for _, names in sorted(own)]
        for i, now in enumerate(sets):
            replies.append(reply(conversation, turn=i, now=now, previous=sets[i - 1] if i else ()))
    assert counted(cluster_sums(replies, sorted(turns)))["stickiness"] == 265
    found = measure(replies)
    assert found["stickiness"] == pytest.approx(0.2658, abs=5e-5)
    assert found["lift"] == pytest.approx(0.1059, abs=5e-5)


def test_distinct_2_by_hand():
    replies = [
        reply("a", reply="It's so hard."),  # "it's so", "so hard"
        reply("b", reply="it's so, SO hard"),  # "it's so", "so so", "so hard"
        failed(conversation="b", reply="never counted here"),
    ]
    values = pooled.distinct_2(replies, ["a", "b"])
    assert values.tolist() == pytest.approx([3 / 5, 3 / 3, 2 / 2])


def test_top_opening_by_hand():
    texts = ["I can see how hard it is", "I can see how sad it is", "Tell me more", ""]
    replies = [reply("a" if i < 2 else "b", reply=text) for i, text in enumerate(texts)]
    values = pooled.top_opening(replies, ["a", "b"])
    assert values.tolist() == pytest.approx([2 / 4, 1 / 2, 2 / 2])


def test_an_apostrophe_of_either_kind_is_the_same_word():
    """The share of the commonest opening is the one `mint.reproduce` finds, and the alarm sees."""
    texts = ["It’s so hard to hear", "It's so hard to know", "it’s SO hard to lose", "Tell me more"]
    replies = [reply(text[-4:], reply=text) for text in texts]
    names = [r.conversation_id for r in replies]
    index = np.arange(4)
    openings, _ = wording.count_by_group([[wording.opening(t)] for t in texts], index, 4)
    assert wording.top_share(openings.sum(axis=0, keepdims=True), np.array([4.0])) == [0.75]
    assert pooled.top_opening(replies, names)[0] == 0.75
    assert wording_figures(replies)["reply/top_opening"] == 0.75
    # 14 pairs: it's so, so hard and hard to three times, and five that occur once.
    assert pooled.distinct_2(replies, names)[0] == 8 / 14


def test_pooled_metrics_of_nothing_are_undefined():
    assert np.isnan(pooled.distinct_2([failed()], ["c1"])[0])
    assert np.isnan(pooled.top_opening([failed()], ["c1"])[0])


def test_a_reply_survives_its_json_row():
    one = reply(now=[V], sentences=("That sounds hard.",), tactics=((V,),), dimensions={"x": 1.0})
    row = json.loads(json.dumps(one.as_row()))
    assert EvaluatedReply.from_row(row) == one
    del row["empathy"], row["reply"]
    with pytest.raises(DataError, match="reply"):
        EvaluatedReply.from_row(row)


PARTS = {"manner": 4.0, "relevance": 0.2, "coherence": 0.8, "harm": 0.1}


def test_parts_and_what_held_ratings_down_are_means_of_the_rated_replies() -> None:
    held = reply(turn=1, parts=PARTS, tricks=("unrelated", "endless"))
    free = reply(turn=2, parts={**PARTS, "relevance": 0.6}, tricks=())
    found = measure([held, free, failed(turn=3)])
    assert found["relevance"] == pytest.approx(0.4)
    assert found["manner"] == 4.0
    assert (found["held_down"], found["held_down/unrelated"]) == (0.5, 0.5)
    assert found["held_down/harmful"] == 0.0
    row = outcome_row(Outcome(condition="x", replies=[held, free]), EvaluationConfig(resamples=100))
    assert row["metrics"]["held_down/endless"]["mean"] == 0.5


@pytest.mark.slow
def test_replies_of_earlier_versions_are_read_and_say_nothing_of_parts() -> None:
    old = reply().as_row()
    del old["parts"], old["tricks"]
    read = EvaluatedReply.from_row(json.loads(json.dumps(old)))
    assert (read.parts, read.tricks) == ({}, None)
    assert np.isnan(measure([read])["held_down"]), "not known, and not 0"
    new = reply(parts=PARTS, tricks=("unrelated",))
    assert EvaluatedReply.from_row(json.loads(json.dumps(new.as_row()))) == new
