"""Agreement of raters and correction for many tests, against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from mint.evaluation.statistics.agreement import round_half_up, spearman, weighted_kappa
from mint.evaluation.statistics.bootstrap import resample_counts
from mint.evaluation.statistics.multiple_tests import benjamini_hochberg, bootstrap_p_value, holm
from rewards.errors import DataError

LEVELS = (1, 2, 3, 4, 5)


def raters(seed: int, num: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.integers(1, 6, num).astype(float)
    return first, np.clip(first + rng.integers(-1, 2, num), 1, 5)


@pytest.mark.parametrize("seed", range(10))
def test_spearman_with_ties_agrees_with_scipy(seed):
    first, second = raters(seed)
    assert spearman(first, second)[0] == pytest.approx(stats.spearmanr(first, second).statistic)


@pytest.mark.parametrize("seed", range(10))
def test_kappa_agrees_with_scikit_learn(seed):
    first, second = raters(seed)
    expected = cohen_kappa_score(first, second, weights="quadratic", labels=LEVELS)
    assert weighted_kappa(first, second, LEVELS)[0] == pytest.approx(expected)


def test_resamples_are_the_same_as_repeating_items():
    first, second = raters(1, 12)
    drawn = resample_counts(12, 50, seed=3)
    ranks, kappas = spearman(first, second, drawn), weighted_kappa(first, second, LEVELS, drawn)
    for row, (rho, kappa) in enumerate(zip(ranks, kappas, strict=True)):
        times = drawn[row].astype(int)
        a, b = np.repeat(first, times), np.repeat(second, times)
        assert rho == pytest.approx(stats.spearmanr(a, b).statistic)
        assert kappa == pytest.approx(cohen_kappa_score(a, b, weights="quadratic", labels=LEVELS))


def test_agreement_that_is_not_defined():
    flat, other = np.ones(5), np.array([1.0, 2, 3, 4, 5])
    assert np.isnan(spearman(flat, other)[0])
    assert np.isnan(weighted_kappa(flat, flat, LEVELS)[0])
    with pytest.raises(DataError, match=r"2\.5 is not one of 1, 2, 3, 4, 5"):
        weighted_kappa(np.array([2.5]), np.array([1.0]), LEVELS)
    with pytest.raises(DataError, match="5 and 4 ratings"):
        spearman(flat, flat[:4])


def test_half_rounds_up():
    assert round_half_up(np.array([1.5, 2.5, 2.49, 3.0])).tolist() == [2.0, 3.0, 2.0, 3.0]


def test_holm_by_hand():
    # Sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04; never below the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_benjamini_hochberg_agrees_with_scipy():
    p = np.random.default_rng(0).uniform(size=40) ** 3
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p, method="bh"))


def test_undefined_p_values_do_not_count_as_tests():
    assert holm([0.01, float("nan"), 0.03])[::2] == pytest.approx([0.02, 0.03])
    assert np.isnan(benjamini_hochberg([0.01, float("nan")])[1])
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        holm([1.2])


def test_holm_keeps_false_findings_rare():
    rng = np.random.default_rng(7)
    false = sum(min(holm(rng.uniform(size=30))) < 0.05 for _ in range(1000))
    assert false / 1000 == pytest.approx(0.05, abs=0.025)


def test_bootstrap_p_value_by_hand():
    values = np.array([-1.0] * 4 + [1.0] * 95)
    assert bootstrap_p_value(values) == pytest.approx(2 * 5 / 100)
    assert bootstrap_p_value(-values) == pytest.approx(2 * 5 / 100)
    assert bootstrap_p_value(np.ones(999)) == pytest.approx(2 / 1000)
    assert bootstrap_p_value(np.zeros(10)) == 1.0
    assert np.isnan(bootstrap_p_value(np.array([1.0, np.nan])))


@pytest.mark.slow
def test_bootstrap_p_value_agrees_with_the_t_test():
    rng = np.random.default_rng(2)
    gained = rng.normal(0.25, 1.0, 80)
    drawn = resample_counts(80, 50_000, seed=0) @ gained / 80
    assert bootstrap_p_value(drawn) == pytest.approx(
        stats.ttest_1samp(gained, 0.0).pvalue, rel=0.35
    )
