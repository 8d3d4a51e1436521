"""Repetition against chance and variety of tactic sets, by hand, by loop and by simulation."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
from scipy import stats
from single_reply_null import permutation_null

from mint.evaluation.metrics import tactic_sets
from mint.evaluation.metrics.repetition import (
    conversation_null,
    pair_sums,
    repetition,
    transition_matrix,
)
from mint.evaluation.statistics.arrays import sum_by
from mint.evaluation.statistics.bootstrap import percentile_interval, resample_counts
from rewards.errors import DataError
from rewards.tactics import NUM_TACTICS, TACTIC_INDEX

V, Q, A = "validation", "questioning", "advice"


def sets(*names: tuple[str, ...]) -> np.ndarray:
    return tactic_sets.bool_sets([frozenset(n) for n in names])


def random_sets(rng: np.random.Generator, num: int, share: float = 0.4) -> np.ndarray:
    return rng.random((num, NUM_TACTICS)) < share


def measured(now: np.ndarray, previous: np.ndarray) -> tuple[float, float, float]:
    return tuple(
        float(v[0]) for v in repetition(pair_sums(now, previous).sum(axis=0, keepdims=True))
    )


def naive(now: np.ndarray, previous: np.ndarray) -> tuple[float, float, float]:
    """The definitions, tactic by tactic and pair by pair."""
    given, otherwise, lift = [], [], []
    for k in range(NUM_TACTICS):
        after = [x[k] for x, p in zip(now, previous, strict=True) if p[k]]
        without = [x[k] for x, p in zip(now, previous, strict=True) if not p[k]]
        if after:
            given.append(sum(after) / len(after))
        if without:
            otherwise.append(sum(without) / len(without))
        if after and without:
            lift.append(sum(after) / len(after) - sum(without) / len(without))
    return tuple(sum(v) / len(v) if v else math.nan for v in (given, otherwise, lift))


def test_repetition_by_hand():
    now = sets((V,), (Q,), (V, Q), (V,), (V,))
    previous = sets((V,), (V,), (V,), (Q,), ())
    stickiness, _, lift = measured(now, previous)
    assert stickiness == pytest.approx((2 / 3 + 0) / 2)
    assert lift == pytest.approx(((2 / 3 - 2 / 2) + (0 - 2 / 4)) / 2)
    rates = np.diag(transition_matrix(now, previous))
    assert rates[TACTIC_INDEX[V]] == pytest.approx(2 / 3)
    assert np.isnan(rates[TACTIC_INDEX[A]])
    assert np.nanmean(rates) == pytest.approx(stickiness)


def test_repetition_equals_the_loop_and_ignores_the_order_of_pairs():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        now, previous = random_sets(rng, 25), random_sets(rng, 25, 0.15)
        expected = naive(now, previous)
        assert measured(now, previous) == pytest.approx(expected, nan_ok=True)
        order = rng.permutation(25)
        assert measured(now[order], previous[order]) == pytest.approx(expected, nan_ok=True)


def test_without_pairs_nothing_is_defined():
    assert all(np.isnan(v) for v in measured(sets()[:0], sets()[:0]))
    with pytest.raises(DataError, match="pairs and shuffles"):
        permutation_null(sets(), sets(), shuffles=10, seed=0)


def test_transition_matrix_by_hand():
    now, previous = sets((V,), (Q, V), ()), sets((V,), (V,), (Q,))
    matrix = transition_matrix(now, previous)
    assert matrix[TACTIC_INDEX[V], TACTIC_INDEX[V]] == 1.0
    assert matrix[TACTIC_INDEX[V], TACTIC_INDEX[Q]] == 0.5
    assert matrix[TACTIC_INDEX[Q], TACTIC_INDEX[Q]] == 0.0
    assert np.isnan(matrix[TACTIC_INDEX[A]]).all()


def test_null_has_the_mean_of_all_orders():
    """Three pairs have six orders: their mean stickiness is the null's mean."""
    now, previous = sets((V,), (Q,), ()), sets((V,), (V, Q), (Q,))
    orders = [(a, b, c) for a, b, c in product(range(3), repeat=3) if len({a, b, c}) == 3]
    exact = [naive(now[list(order)], previous)[0] for order in orders]
    null = permutation_null(now, previous, shuffles=20_000, seed=1)["stickiness"]
    assert null.mean == pytest.approx(np.mean(exact), abs=0.01)
    assert null.std == pytest.approx(np.std(exact), abs=0.01)


def test_null_keeps_strata():
    """With every turn a stratum of its own nothing can be shuffled."""
    rng = np.random.default_rng(0)
    now, previous = random_sets(rng, 12), random_sets(rng, 12)
    null = permutation_null(now, previous, shuffles=50, seed=0, strata_P=np.arange(12))
    assert null["stickiness"].mean == pytest.approx(measured(now, previous)[0])
    assert null["stickiness"].std == pytest.approx(0.0, abs=1e-12)
    assert null["stickiness"].p_value == 1.0
    assert np.isnan(null["stickiness"].z)


def test_null_finds_repetition_and_only_then():
    rng = np.random.default_rng(3)
    previous = random_sets(rng, 300)
    copied = np.where(rng.random((300, 1)) < 0.3, previous, random_sets(rng, 300))
    found = permutation_null(copied, previous, shuffles=500, seed=0)["lift"]
    assert found.z > 5
    assert found.p_value == pytest.approx(1 / 501)
    p_values = [
        permutation_null(random_sets(rng, 60), random_sets(rng, 60), shuffles=99, seed=s)[
            "lift"
        ].p_value
        for s in range(100)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_trading_conversations_equals_the_loop():
    rng = np.random.default_rng(7)
    conversation = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
    place = np.array([1, 2, 3, 1, 2, 1, 2, 4, 3])
    now, previous = random_sets(rng, 9), random_sets(rng, 9)
    found = conversation_null(now, previous, conversation, place, shuffles=200, seed=5)
    where = {key: p for p, key in enumerate(zip(conversation, place, strict=True))}
    dealing, values = np.random.default_rng(5), []
    for _ in range(200):
        dealt = dealing.permutation(4)
        pairs = [(where[dealt[c], t], p) for (c, t), p in where.items() if (dealt[c], t) in where]
        came, stayed = zip(*pairs, strict=True)
        values.append(naive(now[list(came)], previous[list(stayed)]))
    for m, name in ((0, "stickiness"), (2, "lift")):
        column = np.array([value[m] for value in values])
        assert found[name].mean == pytest.approx(np.nanmean(column))
        assert found[name].std == pytest.approx(np.nanstd(column))


def test_stickiness_grows_with_tactics_a_turn_but_lift_does_not():
    rng = np.random.default_rng(5)
    few, many = random_sets(rng, 4000, 0.2), random_sets(rng, 4000, 0.8)
    previous = random_sets(rng, 4000, 0.3)
    assert measured(few, previous)[0] == pytest.approx(0.2, abs=0.02)
    assert measured(many, previous)[0] == pytest.approx(0.8, abs=0.02)
    assert measured(many, previous)[2] == pytest.approx(0.0, abs=0.02)


@pytest.mark.slow
def test_interval_of_lift_covers_zero_when_turns_are_shuffled():
    """Null calibration: 200 data sets whose turns do not depend on the turn before."""
    conversations, turns, hits = 60, 6, 0
    drawn = resample_counts(conversations, 1000, seed=0)
    index = np.repeat(np.arange(conversations), turns - 1)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        share = rng.uniform(0.1, 0.8, NUM_TACTICS)
        own = rng.random((conversations, turns, NUM_TACTICS)) < share
        dealt = own.reshape(-1, NUM_TACTICS)[rng.permutation(conversations * turns)]
        own = dealt.reshape(conversations, turns, NUM_TACTICS)
        now, previous = (part.reshape(-1, NUM_TACTICS) for part in (own[:, 1:], own[:, :-1]))
        sums = sum_by(pair_sums(now, previous), index, conversations)
        low, high = percentile_interval(repetition(drawn @ sums).lift, 0.95)
        hits += low <= 0.0 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_sets_by_hand():
    now = sets((V,), (V,), (Q, V), ())
    index = np.array([0, 0, 1, 1])
    counts = tactic_sets.set_counts(now, index, 2)
    assert counts.sum(axis=1).tolist() == [2.0, 2.0]
    assert sorted(counts[1].tolist()) == [0.0, 1.0, 1.0]
    total = counts.sum(axis=0, keepdims=True)
    assert tactic_sets.num_sets(total)[0] == 3
    assert tactic_sets.set_entropy(total)[0] == pytest.approx(1.5)
    assert tactic_sets.set_entropy(counts)[0] == 0.0


def test_set_entropy_agrees_with_scipy():
    rng = np.random.default_rng(2)
    now = random_sets(rng, 200, 0.2)
    total = tactic_sets.set_counts(now, np.zeros(200, dtype=int), 1)
    shares = list(Counter(map(tuple, now)).values())
    assert tactic_sets.set_entropy(total)[0] == pytest.approx(stats.entropy(shares, base=2))


def test_effective_tactics():
    assert tactic_sets.effective_tactics(np.array([[3.0] * 10]))[0] == pytest.approx(10)
    assert tactic_sets.effective_tactics(np.array([[7.0] + [0.0] * 9]))[0] == pytest.approx(1)
    uneven = np.array([[8.0, 2.0] + [0.0] * 8])
    assert tactic_sets.effective_tactics(uneven)[0] == pytest.approx(
        math.exp(stats.entropy([0.8, 0.2]))
    )


def test_likeness_of_turns_by_hand():
    now, previous = sets((V, Q), (V,), ()), sets((V, A), (V,), ())
    assert tactic_sets.jaccard(now, previous).tolist() == pytest.approx([1 / 3, 1, 1])
    assert tactic_sets.same_set(now, previous).tolist() == [False, True, True]
    assert tactic_sets.any_new(now, previous).tolist() == [True, False, False]


def test_cross_jaccard_equals_the_loop():
    rng = np.random.default_rng(1)
    now, index = random_sets(rng, 20, 0.2), rng.integers(0, 4, 20)
    sums, pairs = tactic_sets.cross_jaccard(now, index, 4)
    values = [
        float(tactic_sets.jaccard(now[[i]], now[[j]])[0])
        for i, j in product(range(20), repeat=2)
        if index[i] != index[j]
    ]
    assert pairs.sum() == len(values)
    assert sums.sum() / pairs.sum() == pytest.approx(np.mean(values))


@pytest.mark.slow
def test_always_on():
    now = np.zeros((10, NUM_TACTICS), dtype=bool)
    now[:, TACTIC_INDEX[V]] = True
    now[:9, TACTIC_INDEX[Q]] = True
    assert tactic_sets.always_on(now) == [V]
    assert tactic_sets.always_on(now, threshold=0.8) == [V, Q]
    assert tactic_sets.always_on(now[:0]) == []
