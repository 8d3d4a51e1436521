from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.own_sequence import compare_own
from mint.evaluation.metrics.summary import compare, summarise
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.results import Outcome, format_conditions, outcome_row
from mint.evaluation.statistics.bootstrap import (
    UNKNOWN,
    jackknife_interval,
    none_or_all,
    none_or_all_difference,
    percentile_interval,
    resample_counts,
)
from mint.evaluation.statistics.coverage import ONE_MODEL
from mint.evaluation.statistics.estimates import clustered_mean, few_clusters
from mint.evaluation.statistics.multiple_tests import jackknife_p_value, sign_test
from mint.safety.statistics import paired_difference
from rewards.errors import ConfigError, DataError

SETTINGS = EvaluationConfig(resamples=4000, seed=1)


def reply(conversation: int, turn: int, value: float, **values: object) -> EvaluatedReply:
    fields: dict = {
        "conversation_id": f"c{conversation:03d}",
        "turn": turn,
        "sample": 0,
        "seeker": "s",
        "reply": f"word{conversation} word{turn} ok",
        "status": "ok",
        "previous_counts": (float(conversation % 2),) + (0.0,) * 9,
        "has_previous": turn > 0,
        "num_tokens": 3,
        "truncated": False,
        "composite": value,
        "empathy": value,
        "kl": 0.0,
        "entropy": 0.0,
        "counts": (turn % 2,) + (0,) * 9,
    }
    return EvaluatedReply(**{**fields, **values})


def normal_replies(num: int, turns: int = 1, shift: float = 0.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    own = rng.normal(size=num)
    return [
        reply(c, t, shift + own[c] + 0.1 * rng.normal()) for c in range(num) for t in range(turns)
    ]


def test_every_resample_has_as_many_conversations():
    counts = resample_counts(7, 500, seed=3)
    assert counts.shape == (500, 7)
    assert set(counts.sum(axis=1)) == {7.0}
    assert counts.mean(axis=0) == pytest.approx(np.ones(7), abs=0.2)


def test_resamples_depend_on_the_seed_only():
    assert np.array_equal(resample_counts(5, 50, 1), resample_counts(5, 50, 1))
    assert not np.array_equal(resample_counts(5, 50, 1), resample_counts(5, 50, 2))


def test_interval_of_a_mean_agrees_with_scipy():
    replies = normal_replies(60)
    found = summarise(replies, EvaluationConfig(resamples=20_000))["composite"]
    values = np.array([r.composite for r in replies])
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert found.mean == pytest.approx(values.mean())
    assert found.ci_low == pytest.approx(expected.low, abs=0.02)
    assert found.ci_high == pytest.approx(expected.high, abs=0.02)


def test_turns_of_a_conversation_are_resampled_together():
    """Ten alike turns a conversation carry no more information than one."""
    one = summarise(normal_replies(40), SETTINGS)["composite"]
    ten = summarise(normal_replies(40, turns=10), SETTINGS)["composite"]
    width = {"one": one.ci_high - one.ci_low, "ten": ten.ci_high - ten.ci_low}
    assert width["ten"] == pytest.approx(width["one"], rel=0.15)


def test_conversations_of_a_scenario_are_resampled_together():
    """Forty conversations of eight scenarios carry no more than eight."""
    rng = np.random.default_rng(3)
    own = rng.normal(size=8)
    replies = [reply(c, 0, own[c % 8] + 0.1 * rng.normal()) for c in range(40)]
    told = [replace(r, scenario=f"s{int(r.conversation_id[1:]) % 8}") for r in replies]
    merged = [replace(r, conversation_id=r.scenario, scenario="") for r in told]
    found = summarise(told, SETTINGS)
    assert found == summarise(merged, SETTINGS)
    width = found["composite"].ci_high - found["composite"].ci_low
    alone = summarise(replies, SETTINGS)["composite"]
    assert width > 1.8 * (alone.ci_high - alone.ci_low)
    # A side whose file does not say the scenarios takes them from the other.
    gained = [replace(r, composite=r.composite + own[int(r.conversation_id[1:]) % 8]) for r in told]
    one, both = compare(replies, gained, SETTINGS), compare(told, gained, SETTINGS)
    assert one == both
    assert (one["composite"].num_clusters, one["composite"].num_conversations) == (8, 40)


def test_few_clusters_are_said():
    assert few_clusters(20) == ""
    assert "rest on 13 independent scenarios or conversations, fewer than 20" in few_clusters(13)
    outcome = Outcome(condition="c", replies=normal_replies(13))
    about = {
        "graders": {},
        "statistics": {"confidence": SETTINGS.confidence, "intervals_are_over": ONE_MODEL},
    }
    shown = {**about, "conditions": {"c": outcome_row(outcome, SETTINGS)}}
    assert few_clusters(13) in format_conditions(shown)
    more = Outcome(condition="c", replies=normal_replies(20))
    shown["conditions"] = {"c": outcome_row(more, SETTINGS)}
    assert "fewer" not in format_conditions(shown)


def test_conversations_of_different_length_weigh_by_their_turns():
    replies = [reply(0, t, 1.0) for t in range(3)] + [reply(1, 0, 5.0)]
    assert summarise(replies, SETTINGS)["composite"].mean == 2.0


@pytest.mark.slow
def test_paired_interval_agrees_with_scipy():
    before, after = normal_replies(50), normal_replies(50, shift=0.05)
    after = [reply(i, 0, r.composite + 0.2 * np.sin(i)) for i, r in enumerate(after)]
    found = compare(before, after, EvaluationConfig(resamples=20_000))["composite"]
    gained = np.array([b.composite - a.composite for a, b in zip(before, after, strict=True)])
    expected = stats.bootstrap(
        (gained,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert found.difference == pytest.approx(gained.mean())
    assert found.ci_low == pytest.approx(expected.low, abs=0.005)
    assert found.ci_high == pytest.approx(expected.high, abs=0.005)


def test_pairing_removes_what_differs_between_conversations():
    found = compare(normal_replies(50), normal_replies(50, shift=0.3), SETTINGS)["composite"]
    assert found.difference == pytest.approx(0.3)
    assert found.ci_low == pytest.approx(0.3)
    assert found.ci_high == pytest.approx(0.3)


def test_only_shared_turns_are_compared():
    before = [reply(0, 0, 1.0), reply(0, 1, 2.0), reply(1, 0, 9.0)]
    after = [reply(0, 0, 2.0), reply(0, 1, 4.0), reply(2, 0, 9.0)]
    found = compare(before, after, SETTINGS)["composite"]
    assert (found.before, found.after, found.difference) == (1.5, 3.0, 1.5)
    assert (found.num_conversations, found.num_turns) == (1, 2)
    with pytest.raises(DataError, match="share no conversation turn"):
        compare(before[:1], after[2:], SETTINGS)


def silent(conversation: int, turn: int) -> EvaluatedReply:
    none = dict.fromkeys(("empathy", "kl", "entropy"))
    return reply(conversation, turn, -0.5, status="empty", reply="", counts=(), **none)


def test_silence_on_the_hard_turn_wins_nothing():
    """Alike replies, but one system says nothing where the other gets its 1.0 of 5."""
    before = [reply(c, t, 4.0 if t else 2.0) for c in range(6) for t in range(2)]
    after = [r if r.turn else silent(int(r.conversation_id[1:]), 0) for r in before]
    found = compare(before, after, SETTINGS)
    assert found["empathy"] == compare(before[1::2], after[1::2], SETTINGS)["empathy"]
    assert (found["empathy"].before, found["empathy"].difference) == (4.0, 0.0)
    assert (found["empathy"].num_turns, found["empathy_with_silence"].num_turns) == (6, 12)
    counted = found["empathy_with_silence"]
    assert (counted.before, counted.after, counted.difference) == (3.0, 2.5, -0.5)
    assert counted.ci_high == -0.5
    assert found["composite"].difference == -1.25
    assert found["empty"].difference == 0.5
    assert compare_own(before, after, SETTINGS)["set_entropy"].difference == 0.0
    assert summarise(after, SETTINGS)["empathy_with_silence"].n == 12


def test_nothing_is_graded_on_both_sides():
    before, after = [reply(c, 0, 2.0) for c in range(4)], [silent(c, 0) for c in range(4)]
    found = compare(before, after, SETTINGS)
    assert found["empathy"].difference is None
    assert found["composite"].difference == -2.5
    assert compare_own(before, after, SETTINGS) == {}


def test_a_reward_model_has_no_lowest_rating():
    rated = [reply(c, 0, 2.0, empathy=None, judge_logit=1.0) for c in range(4)]
    found = summarise([*rated, silent(4, 0)], SETTINGS)["empathy_with_silence"]
    assert (found.mean, found.n) == (None, 0)


def test_a_share_of_none_or_all_has_wilsons_interval_over_conversations():
    """None of 20 conversations, however many replies: [0, 0.161] as `wilson(0, 20)` by hand."""
    replies = [reply(c, t, 1.0, reply="So it is") for c in range(20) for t in range(5)]
    found = summarise(replies, SETTINGS)
    for name in ("truncated", "empty", "failed", "label_leak", "prevalence/advice"):
        assert (found[name].mean, found[name].ci_low) == pytest.approx((0.0, 0.0))
        assert found[name].ci_high == pytest.approx(0.161125, abs=1e-6)
    assert found["top_opening"].ci_low == pytest.approx(1 - 0.161125, abs=1e-6)
    assert found["top_opening"].ci_high == 1.0
    same = compare(replies, replies, SETTINGS)["truncated"]
    ends = paired_difference(0, 0, 20, 0.95)
    assert (same.difference, same.ci_low, same.ci_high) == (0.0, ends.low, ends.high)
    cut = compare(replies, [replace(r, truncated=True) for r in replies], SETTINGS)["truncated"]
    assert (cut.difference, cut.ci_high) == (1.0, 1.0)
    assert 0.7 < cut.ci_low < 0.95


def test_a_share_between_keeps_its_bootstrap():
    assert none_or_all(0.5, 20, 0.95) is None
    assert none_or_all(float("nan"), 20, 0.95) is None
    assert none_or_all(0.0, 1, 0.95) == UNKNOWN
    assert none_or_all_difference(0.0, 0.5, 20, 0.95) is None
    values = [(f"c{c}", 0.0) for c in range(20)]
    assert clustered_mean(values, SETTINGS, share=True).ci_high == pytest.approx(0.161125, abs=1e-6)


def test_one_conversation_has_no_interval():
    found = summarise([reply(0, 0, 1.0), reply(0, 1, 3.0)], SETTINGS)
    assert found["composite"].mean == 2.0
    assert found["composite"].ci_low is None
    assert found["distinct_2"].ci_low is None


def test_undefined_metric_is_none_not_zero():
    replies = [reply(c, 0, 1.0) for c in range(5)]
    found = summarise(replies, SETTINGS)
    assert found["stickiness"].mean is None
    assert found["stickiness"].n == 0
    assert compare(replies, replies, SETTINGS)["lift"].difference is None
    with pytest.raises(DataError, match="no reply"):
        summarise([], SETTINGS)


def test_percentiles_and_undefined_resamples():
    values = np.arange(1001.0)
    assert percentile_interval(values, 0.9) == pytest.approx((50.0, 950.0))
    holes = np.concatenate([values, np.full(50, np.nan)])
    assert percentile_interval(holes, 0.9) == pytest.approx((50.0, 950.0))
    assert percentile_interval(np.full(10, np.nan), 0.9) == UNKNOWN
    assert percentile_interval(np.concatenate([values, np.full(900, np.nan)]), 0.9) == UNKNOWN


def test_jackknife_of_a_mean_is_the_t_interval():
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    without = (values.sum() - values) / 4
    error = values.std(ddof=1) / 5**0.5
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=error)
    found = jackknife_interval(values.mean(), without, 0.95)
    assert found == pytest.approx((low, high))
    assert jackknife_interval(1.0, without[:1], 0.95) == UNKNOWN


def test_p_values_of_differences_go_with_their_intervals():
    before, after = normal_replies(30), normal_replies(30, shift=0.3)
    found = compare(before, after, SETTINGS)
    assert found["composite"].p_value == pytest.approx(2 / 4001)
    assert found["num_tokens"].p_value == 1.0
    assert found["lift"].p_value is None
    one = compare(before[:1], after[:1], SETTINGS)["composite"]
    assert (one.ci_low, one.p_value) == (None, None)


def test_jackknife_p_value_is_that_of_the_t_interval():
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    without = (values.sum() - values) / 4
    error = values.std(ddof=1) / 5**0.5
    expected = stats.ttest_1samp(values, 0).pvalue
    assert expected == pytest.approx(2 * stats.t.sf(values.mean() / error, 4))
    assert jackknife_p_value(values.mean(), without) == pytest.approx(expected)
    assert jackknife_p_value(-values.mean(), -without) == pytest.approx(expected)
    assert jackknife_p_value(0.0, np.zeros(5)) == 1.0
    assert jackknife_p_value(0.5, np.full(5, 0.5)) == 0.0
    assert np.isnan(jackknife_p_value(0.5, without[:1]))


def test_sign_test_by_hand():
    assert sign_test(5, 0) == sign_test(0, 5) == pytest.approx(2 * 0.5**5)
    assert sign_test(3, 3) == sign_test(0, 0) == 1.0


def test_coverage_is_close_to_what_is_promised():
    counts = resample_counts(40, 500, seed=0)
    hits = 0
    for seed in range(200):
        values = np.random.default_rng(seed).normal(size=40)
        low, high = percentile_interval(counts @ values / 40, 0.95)
        hits += low <= 0.0 <= high
    assert 0.88 <= hits / 200 <= 0.985


def test_ten_thousand_resamples_are_quick():
    replies = normal_replies(100, turns=4)
    settings = EvaluationConfig(resamples=10_000)
    summarise(replies, settings)
    started = time.process_time()
    summarise(replies, settings)
    assert time.process_time() - started < 3.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"samples_per_prompt": 0},
        {"temperature": -1.0},
        {"top_p": 0.0},
        {"max_new_tokens": 0},
        {"max_prompts": 0},
        {"batch_size": 0},
        {"seed": -1},
        {"resamples": 10},
        {"confidence": 1.0},
        {"temperature": 0.0, "samples_per_prompt": 2},
    ],
)
def test_settings_that_make_no_sense_are_refused(values):
    with pytest.raises(ConfigError, match=f"mint.evaluation.{list(values)[-1]}"):
        EvaluationConfig(**values)
