"""The group reward: examples worked by hand, and properties that must hold for any group."""

from __future__ import annotations

import math
import pickle
import random
from dataclasses import replace
from itertools import permutations

import pytest

from rewards.errors import ConfigError
from rewards.formula import (
    COMPONENTS,
    SURPRISALS,
    Mode,
    RewardWeights,
    group_rewards,
    raw_reward,
)
from rewards.normalise import length_scale, normalise_in_group
from rewards.terms import raw_terms
from rewards.types import Signals, Status

FULL = RewardWeights(entropy=0.5, bigram=0.25, trigram=0.25)


def ok(quality: float = 0.5, kl: float = 1.0, entropy: float = 0.5, **other: object) -> Signals:
    values: dict[str, object] = {"bigram": 2.0, "trigram": 2.0, "num_tokens": 100, **other}
    return Signals(status=Status.OK, quality=quality, kl=kl, entropy=entropy, **values)  # type: ignore[arg-type]


def bad(status: Status) -> Signals:
    return Signals(status=status, reason="test")


def random_group(rng: random.Random, size: int = 6) -> list[Signals]:
    group = []
    for _ in range(size):
        status = rng.choices(list(Status), [6, 1, 1, 1])[0]
        if status is not Status.OK:
            group.append(bad(status))
            continue
        group.append(
            ok(
                rng.random(),
                5 * rng.random(),
                2.3 * rng.random(),
                bigram=4 * rng.random(),
                trigram=4 * rng.random(),
                num_tokens=rng.randint(1, 600),
                label_leak=rng.random() < 0.2,
            )
        )
    return group


def test_min_max_golden_values() -> None:
    assert normalise_in_group([1, 1, 1]).values_G == (0.5, 0.5, 0.5)
    assert normalise_in_group([1, 1, 1]).flat
    assert normalise_in_group([-3, -1, 0]).values_G == pytest.approx((0, 2 / 3, 1))
    assert normalise_in_group([]).values_G == ()


def test_flat_range_is_a_noise_floor() -> None:
    assert normalise_in_group([0.50, 0.51], flat_range=0.02).flat
    assert not normalise_in_group([0.50, 0.51], flat_range=0.001).flat


@pytest.mark.parametrize(("tokens", "scale"), [(0, 1.0), (1, 1.0), (200, 1.0), (400, 0.5)])
def test_length_scale(tokens: int, scale: float) -> None:
    assert length_scale(tokens, 200) == scale


def test_worked_example_of_the_paper() -> None:
    """Q' = 0.8, KL' = 0.5, 250 tokens: 1.3 * 0.8 = 1.04, and 2 less with labels."""
    group = [
        ok(0.0, 0.0),
        ok(0.8, 2.0, num_tokens=250),
        ok(0.8, 2.0, num_tokens=250, label_leak=True),
        ok(1.0, 4.0),
    ]
    scores = group_rewards(group).scores
    assert scores == pytest.approx((0.0, 1.04, -0.96, 2.0))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("add", 1.6), ("multiply", 0.64), ("quality_only", 0.8), ("diversity_only", 0.8)],
)
def test_mode_equations(mode: str, expected: float) -> None:
    group = [ok(0.0, 0.0), ok(0.8, 4.0), ok(1.0, 5.0)]
    assert group_rewards(group, RewardWeights(mode=mode)).scores[1] == pytest.approx(expected)


def test_diversity_weight_acts_in_mode_add() -> None:
    group = [ok(0.0, 0.0), ok(0.8, 4.0), ok(1.0, 5.0)]
    assert group_rewards(group, RewardWeights(diversity=0.5)).scores[1] == pytest.approx(1.2)


def test_quality_only_has_no_label_penalty() -> None:
    group = [ok(0.0), ok(1.0, label_leak=True)]
    assert group_rewards(group, RewardWeights(mode="quality_only")).scores == (0.0, 1.0)


def test_order_of_siblings_does_not_matter() -> None:
    group = random_group(random.Random(5), 5)
    expected = dict(zip(map(id, group), group_rewards(group, FULL).scores, strict=True))
    for shuffled in permutations(group):
        scores = group_rewards(shuffled, FULL).scores
        assert scores == pytest.approx([expected[id(s)] for s in shuffled])


@pytest.mark.parametrize("component", COMPONENTS)
def test_weight_zero_removes_a_term(component: str) -> None:
    rng = random.Random(7)
    group = [ok(rng.random(), rng.random(), rng.random()) for _ in range(4)]
    changed = [replace(s, **{component: 5 * rng.random()}) for s in group]
    weights = replace(FULL, **{component: 0.0})
    assert group_rewards(group, weights).scores == group_rewards(changed, weights).scores


def test_groups_do_not_influence_each_other() -> None:
    low, high = [ok(0.1), ok(0.2)], [ok(0.8), ok(0.9)]
    assert group_rewards(low).scores == pytest.approx(group_rewards(high).scores)


def test_flat_group_is_reported() -> None:
    result = group_rewards([ok(), ok(), ok()])
    assert result.flat
    assert result.flat_components == ("quality", "kl")
    assert len(set(result.scores)) == 1
    assert not result.partial
    assert not result.lost


def test_failed_member_gets_the_mean_and_hence_no_advantage() -> None:
    result = group_rewards([ok(0.1), bad(Status.FAILED), ok(0.4), ok(0.9)])
    others = [result.scores[i] for i in (0, 2, 3)]
    assert result.scores[1] == pytest.approx(sum(others) / 3)
    assert result.scores[1] - sum(result.scores) / 4 == pytest.approx(0.0, abs=1e-12)
    assert result.partial
    assert not result.lost


def test_failed_member_does_not_move_the_others() -> None:
    group = [ok(0.1), ok(0.4), ok(0.9)]
    with_failure = group_rewards([*group, bad(Status.FAILED)])
    assert with_failure.scores[:3] == group_rewards(group).scores


@pytest.mark.parametrize(("num_failed", "lost"), [(4, False), (5, True), (8, True)])
def test_group_is_lost_below_half(num_failed: int, lost: bool) -> None:
    group = [bad(Status.FAILED)] * num_failed + [ok(i / 8) for i in range(8 - num_failed)]
    result = group_rewards(group)
    assert result.lost is lost
    if lost:
        assert set(result.scores) == {0.0}


@pytest.mark.parametrize(
    ("num_ok", "num_failed", "asked", "lost"),
    [
        (1, 0, 8, True),
        (2, 0, 8, True),
        (3, 0, 8, True),
        (4, 0, 8, False),
        (4, 4, 8, False),
        (3, 4, 8, True),
        (1, 0, 2, True),
        (2, 0, 2, False),
        (1, 0, 1, True),
        (0, 0, 8, True),
    ],
)
def test_missing_siblings_count_as_failed(
    num_ok: int, num_failed: int, asked: int, lost: bool
) -> None:
    group = [ok(0.1 * i) for i in range(num_ok)] + [bad(Status.FAILED)] * num_failed
    result = group_rewards(group, asked=asked)
    assert result.lost is lost
    assert result.num_missing == asked - len(group)
    assert result.partial is (0 < num_ok < asked)
    assert result.trained_G == tuple(s.status is Status.OK and not lost for s in group)
    if lost:
        assert set(result.scores) <= {0.0}
    else:
        assert result.scores[:num_ok] == group_rewards(group[:num_ok]).scores


def test_two_must_be_scored_whatever_the_share_says() -> None:
    weights = RewardWeights(min_scored_fraction=0.01)
    assert group_rewards([ok(), *[bad(Status.FAILED)] * 7], weights).lost
    assert not group_rewards([ok(), bad(Status.EMPTY)], weights, asked=8).lost


def test_more_replies_than_asked_for_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="a group of 2 siblings has 3 replies"):
        group_rewards([ok(), ok(), ok()], asked=2)


def test_scored_fraction_is_not_rounded_up_by_floating_point() -> None:
    group = [bad(Status.FAILED)] * 9 + [ok(i / 11) for i in range(11)]
    assert not group_rewards(group, RewardWeights(min_scored_fraction=0.55)).lost


@pytest.mark.parametrize("status", [Status.EMPTY, Status.TRUNCATED_THINK])
def test_invalid_replies_fall_below_every_valid_one(status: Status) -> None:
    for seed in range(50):
        group = [*random_group(random.Random(seed)), bad(status), ok(label_leak=True), ok(), ok()]
        result = group_rewards(group, FULL)
        assert not result.lost
        valid = [s for s, g in zip(result.scores, group, strict=True) if g.status is Status.OK]
        assert result.scores[6] <= min(valid) - 0.5 + 1e-12
        assert result.scores[6] <= -0.5


def test_saying_nothing_never_pays_even_alone() -> None:
    result = group_rewards([bad(Status.EMPTY)] * 4)
    assert result.scores == (-0.5,) * 4
    assert result.flat


def test_scores_stay_within_bounds() -> None:
    upper = 1.0 + (1.0 + 0.5 + 0.25 + 0.25)
    for seed in range(100):
        group = random_group(random.Random(seed))
        for score, signals in zip(group_rewards(group, FULL).scores, group, strict=True):
            assert math.isfinite(score)
            assert score <= upper + 1e-12
            if signals.status is Status.OK:
                assert score >= -2.0


def test_empty_group() -> None:
    result = group_rewards([])
    assert result.scores == ()
    assert result.flat


def test_scored_reply_without_a_signal_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="needs kl"):
        group_rewards([replace(ok(), kl=None)])


@pytest.mark.parametrize(
    ("weights", "used"),
    [
        (RewardWeights(), ()),
        (RewardWeights(trigram=0.5), ("trigram",)),
        (RewardWeights(bigram=0.5, diversity=0.0), ()),
        (RewardWeights(mode="quality_only", bigram=0.5), ()),
    ],
)
def test_a_surprisal_may_be_left_out_only_where_it_is_not_used(
    weights: RewardWeights, used: tuple[str, ...]
) -> None:
    assert weights.used_surprisals() == used
    full = [ok(0.1, 2.0), ok(0.9, 1.0)]
    bare = [replace(s, **dict.fromkeys(set(SURPRISALS) - set(used), None)) for s in full]
    assert group_rewards(bare, weights).scores == group_rewards(full, weights).scores
    assert raw_reward(bare[0], weights) == raw_reward(full[0], weights)
    assert (
        group_rewards(bare, weights).replies[0].as_row().keys()
        == vars(group_rewards(full, weights).replies[0]).keys()
    )
    if used:
        with pytest.raises(ValueError, match="needs trigram"):
            group_rewards([replace(s, trigram=None) for s in full], weights)


def test_breakdown_is_a_flat_row() -> None:
    row = group_rewards([ok(0.2), ok(0.6)]).replies[1].as_row()
    assert row["quality"] == 0.6
    assert row["quality_norm"] == 1.0
    assert row["status"] == "ok"
    assert row["length_scale"] == 1.0


def test_raw_reward_uses_fixed_scales() -> None:
    weights = RewardWeights(entropy=1.0)
    signals = ok(0.5, 2.5, math.log(10), num_tokens=400)
    assert raw_reward(signals, weights) == pytest.approx((0.5 + 0.5 + 1.0) * 0.5)
    assert raw_reward(bad(Status.EMPTY)) == -0.5
    assert raw_reward(bad(Status.FAILED)) is None
    assert raw_reward(ok(1.0, 1.0, bigram=99.0), FULL) == raw_reward(ok(1.0, 1.0, bigram=5.0), FULL)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"mode": "sum"}, "mode must be one of add"),
        ({"kl": -1.0}, "kl must be >= 0"),
        ({"quality": math.nan}, "quality must be >= 0"),
        ({"quality": math.inf}, "finite"),
        ({"length_target_tokens": 0}, "length_target_tokens must be > 0"),
        ({"label_leak_penalty": 1.0}, "label_leak_penalty must be <= 0"),
        ({"invalid_margin": 0.0}, "invalid_margin must be > 0"),
        ({"min_scored_fraction": 0.0}, "min_scored_fraction"),
        ({"flat_range": -1.0}, "flat_range must be >= 0"),
        ({"quality": 0.0, "kl": 0.0}, "not all be 0"),
        ({"quality": 0.0, "diversity": 0.0}, "not all be 0"),
        ({"mode": "quality_only", "quality": 0.0}, "not all be 0"),
        ({"mode": "multiply", "quality": 0.0}, "quality must be > 0 in mode multiply"),
        ({"mode": "multiply", "kl": 0.0}, "not all be 0 in mode multiply"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        RewardWeights(**settings)  # type: ignore[arg-type]


def test_components_without_weight_are_not_reported_flat() -> None:
    weights = RewardWeights(diversity=0.0)
    assert weights.active_components() == {"quality": 1.0}
    assert group_rewards([ok(), ok()], weights).flat_components == ("quality",)


def test_values_travel_between_processes() -> None:
    weights = RewardWeights(mode="multiply")
    result = group_rewards([ok(), bad(Status.FAILED), ok(0.9)], weights)
    for value in (weights, result, result.replies[0], ok(), ConfigError("x")):
        copy = pickle.loads(pickle.dumps(value))
        assert repr(copy) == repr(value)
        assert type(copy) is type(value)
    assert pickle.loads(pickle.dumps(weights)).mode is Mode.MULTIPLY


def test_a_logit_is_squeezed_into_the_composite_and_spread_within_its_group() -> None:
    weights = RewardWeights(kl=0.0)
    logits = (-800.0, -2.0, 0.0, 2.0, 800.0)
    group = [ok(quality, quality_is_logit=True) for quality in logits]
    raw = [raw_reward(signals, weights) for signals in group]
    assert raw == pytest.approx([0.0, 1 / (1 + math.e**2), 0.5, 1 / (1 + math.e**-2), 1.0])
    assert group_rewards(group[1:4], weights).scores == pytest.approx((0.0, 0.5, 1.0))
    mixed = [*group[1:3], bad(Status.FAILED)]
    assert group_rewards(mixed, weights).scores == pytest.approx((0.0, 1.0, 0.5))


def test_the_terms_of_the_raw_reward_add_up_to_it() -> None:
    weights = RewardWeights(kl=2.0, diversity=0.5, length_target_tokens=10)
    reply = ok(quality=0.8, kl=2.5, num_tokens=20, label_leak=True)
    terms = raw_terms(reply, weights)
    # 0.8 of quality, 0.5 * 2 * 2.5/5 of novelty, half of both lost to the length, 2 to the names.
    expected = {"quality": 0.8, "kl": 0.5, "length": -0.65, "label_leak": -2.0}
    assert {k: v for k, v in terms.items() if v} == pytest.approx(expected)
    assert sum(terms.values()) == pytest.approx(raw_reward(reply, weights))
    silent = bad(Status.EMPTY)
    assert raw_terms(silent, weights) == {"silence": -0.5}
    assert raw_terms(bad(Status.FAILED), weights) == {}
    for mode in ("quality_only", "diversity_only"):
        other = replace(weights, mode=mode)
        assert sum(raw_terms(reply, other).values()) == pytest.approx(raw_reward(reply, other))
    assert raw_terms(reply, replace(weights, mode="multiply")) == {}
