"""Repetition on a model's own turns, against a hand calculation and a bootstrap in plain Python."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats
from single_reply_null import permutation_null

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.own_sequence import own_sequence, own_sequence_null, sequences
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.bootstrap import resample_counts
from mint.evaluation.statistics.estimates import clustered_mean
from rewards.tactics import TACTIC_NAMES

SETTINGS = EvaluationConfig(resamples=300, seed=5)


def reply(conversation: str, turn: int, names: str, sample: int = 0, status: str = "ok"):
    counts = tuple(int(name[0] in names) for name in ("advice", "validation", "questioning"))
    place = {"advice": 0, "validation": 1, "questioning": 2}
    return EvaluatedReply(
        conversation_id=conversation,
        turn=turn,
        sample=sample,
        seeker="x",
        reply="y",
        status=status,
        previous_counts=(0.0,) * 10,
        has_previous=turn > 0,
        num_tokens=1,
        truncated=False,
        counts=tuple(counts[place[n]] if n in place else 0 for n in TACTIC_NAMES)
        if status == "ok"
        else (),
    )


HAND = [
    reply("c", 0, "av"),
    reply("c", 1, "a"),
    reply("c", 2, "q"),
    reply("d", 0, "a"),
    reply("d", 1, "", status="failed"),
    reply("d", 2, "q"),
    reply("d", 0, "v", sample=1),
    reply("d", 1, "v", sample=1),
]


def test_pairs_are_neighbours_of_one_sample_that_were_graded():
    """Pairs: (av, a), (a, q) of c, (v, v) of d's second sample; a failed reply breaks the chain."""
    found = sequences(HAND)
    assert len(found.now_NK) == 7
    assert len(found.now_PK) == 3
    assert found.index_P.tolist() == [0, 0, 1]
    assert found.turn_P.tolist() == [1, 2, 1]


def test_values_are_those_of_the_hand_calculation():
    found = own_sequence(HAND, SETTINGS)
    # P(a|a) = 1/2, P(v|v) = 1/2 over (av, a), (a, q), (v, v); q was never before.
    assert found["self_stickiness"].mean == pytest.approx(0.5)
    # a: 1/2 - 0/1; v: 1/2 - 0/1; q: no pair had it before.
    assert found["self_lift"].mean == pytest.approx(0.5)
    assert found["self_jaccard"].mean == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert found["same_set"].mean == pytest.approx(1 / 3)
    assert found["distinct_sets"].mean == 4  # av, a, q, v
    shares = np.array([1, 2, 2, 2]) / 7
    assert found["set_entropy"].mean == pytest.approx(-(shares * np.log2(shares)).sum())
    assert (found["self_stickiness"].n, found["distinct_sets"].n) == (3, 7)


def made_up(seed: int, conversations: int = 12) -> list[EvaluatedReply]:
    rng = random.Random(seed)
    return [
        reply(f"c{c:02d}", t, "".join(k for k in "avq" if rng.random() < 0.5))
        for c in range(conversations)
        for t in range(rng.randint(2, 5))
    ]


@pytest.mark.slow
def test_intervals_are_those_of_a_plain_bootstrap_of_conversations():
    replies = made_up(1)
    names = sorted({r.conversation_id for r in replies})
    drawn = resample_counts(len(names), SETTINGS.resamples, SETTINGS.seed)
    values = []
    for row in drawn:
        copies = [
            EvaluatedReply(**{**r.as_row(), "conversation_id": f"{name}/{i}"})
            for name, number in zip(names, row, strict=True)
            for i in range(int(number))
            for r in replies
            if r.conversation_id == name
        ]
        one = EvaluationConfig(resamples=100)
        values.append(own_sequence(copies, one)["self_jaccard"].mean)
    low, high = np.quantile(values, [0.025, 0.975])
    found = own_sequence(replies, SETTINGS)["self_jaccard"]
    assert found.ci_low == pytest.approx(low)
    assert found.ci_high == pytest.approx(high)


@pytest.mark.parametrize("name", ["self_stickiness", "self_lift"])
def test_intervals_of_repetition_leave_out_one_conversation_at_a_time(name):
    replies = made_up(1)
    conversations = sorted({r.conversation_id for r in replies})
    value = own_sequence(replies, SETTINGS)[name].mean
    without = [
        own_sequence([r for r in replies if r.conversation_id != c], SETTINGS)[name].mean
        for c in conversations
    ]
    error = np.sqrt(11 / 12 * np.sum((np.array(without) - np.mean(without)) ** 2))
    low, high = stats.t.interval(0.95, 11, loc=value, scale=error)
    found = own_sequence(replies, SETTINGS)[name]
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high))


def test_intervals_of_self_lift_cover_what_they_say():
    """Independent turns have a lift of 0; percentile intervals over 10 conversations miss it in
    17 of these 100 cases."""
    covered = 0
    for seed in range(100):
        found = own_sequence(made_up(seed, conversations=10), EvaluationConfig(resamples=100))
        lift = found["self_lift"]
        covered += lift.ci_low <= 0.0 <= lift.ci_high
    assert covered >= 88


def test_order_of_replies_does_not_matter():
    replies = made_up(2)
    shuffled = random.Random(0).sample(replies, len(replies))
    assert own_sequence(replies, SETTINGS) == own_sequence(shuffled, SETTINGS)


def test_the_null_of_independent_turns_covers_what_was_seen():
    inside = 0
    for seed in range(40):
        null = own_sequence_null(made_up(seed, conversations=20), SETTINGS)["null"]["self_lift"]
        inside += null["p_value"] > 0.05
    assert inside >= 34  # 95 % of 40, less three standard errors


def samples_of_turns(seed: int, samples: int = 8) -> list[EvaluatedReply]:
    """Every turn's message alone decides the tactics, for all samples alike but for some noise."""
    rng = random.Random(seed)
    made = []
    for c in range(15):
        for t in range(4):
            wanted = {k: rng.random() for k in "avq"}
            for s in range(samples):
                names = "".join(k for k, p in wanted.items() if (rng.random() < 0.1) ^ (p < 0.5))
                made.append(reply(f"c{c:02d}", t, names, sample=s))
    return made


@pytest.mark.slow
def test_the_null_holds_when_the_turn_decides_for_all_samples():
    """Dealing single replies takes eight samples for eight findings and rejects far too often."""
    kept, single = 0, 0
    for seed in range(60):
        replies = samples_of_turns(seed)
        s = sequences(replies)
        null = own_sequence_null(replies, SETTINGS)["null"]["self_lift"]
        kept += null["p_value"] > 0.05
        alone = permutation_null(s.now_PK, s.before_PK, shuffles=200, seed=1, strata_P=s.turn_P)
        single += alone["lift"].p_value > 0.05
    assert kept >= 52  # 95 % of 60, less three standard errors
    assert single < 45


def test_the_null_finds_repetition():
    rng = random.Random(2)
    replies = []
    for c in range(20):
        names = "a" if rng.random() < 0.5 else "v"
        for t in range(4):
            names = names if rng.random() < 0.8 else rng.choice("avq")
            replies += [reply(f"c{c:02d}", t, names, sample=s) for s in range(2)]
    null = own_sequence_null(replies, SETTINGS)["null"]["self_lift"]
    assert null["z"] > 3
    assert null["p_value"] < 0.01


def test_a_single_conversation_cannot_trade():
    null = own_sequence_null([r for r in HAND if r.conversation_id == "c"], SETTINGS)["null"]
    assert null["self_stickiness"]["p_value"] == 1.0


def test_a_single_conversation_has_no_interval():
    found = own_sequence([r for r in HAND if r.conversation_id == "c"], SETTINGS)
    assert found["self_stickiness"].ci_low is None
    assert found["distinct_sets"].ci_low is None


def test_clustered_mean_counts_conversations():
    values = [(f"c{c}", float(c % 2)) for c in range(40) for _ in range(25)]
    found = clustered_mean(values, EvaluationConfig(resamples=4000))
    half = (found.ci_high - found.ci_low) / 2
    assert found.mean == 0.5
    assert half == pytest.approx(1.96 * 0.5 / 40**0.5, rel=0.08)
