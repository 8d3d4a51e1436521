"""Novelty terms against the values of the paper's released functions (alpha 0.1)."""

from __future__ import annotations

import math

import pytest

from rewards.diversity import (
    KL_CAP,
    entropy,
    history_ngrams,
    kl_divergence,
    ngram_surprisal,
)
from rewards.errors import DataError
from rewards.tactics import TACTIC_NAMES

ALL_TEN = dict.fromkeys(TACTIC_NAMES, 1)
BUSY = {"validation": 2, "advice": 3, "questioning": 1}

GOLDEN = [
    ({}, {"validation": 1}, 0.625695, 0.0),
    ({}, {"validation": 1, "questioning": 1}, 0.659844, 0.693147),
    ({}, ALL_TEN, 0.0, 2.302585),
    ({"validation": 1}, {"validation": 1}, 0.0, 0.0),
    ({"validation": 2}, {"validation": 1}, 0.049820, 0.0),
    ({"validation": 1}, {"advice": 1}, 1.198948, 0.0),
    ({"validation": 2, "advice": 3}, {"questioning": 1, "paraphrasing": 1}, 2.235653, 0.693147),
    (BUSY, BUSY, 0.0, 1.011404),
    (BUSY, {"validation": 1, "paraphrasing": 2}, 1.834371, 0.636514),
    (BUSY, {"validation": 1, "paraphrasing": 2, "questioning": 1}, 1.404234, 1.039721),
    ({"validation": 20}, {"advice": 20}, 5.0, 0.0),
    (BUSY, {}, 0.0, 0.0),
]


@pytest.mark.parametrize(("previous", "current", "kl", "h"), GOLDEN)
def test_golden_values(
    previous: dict[str, int], current: dict[str, int], kl: float, h: float
) -> None:
    assert kl_divergence(previous, current) == pytest.approx(kl, abs=1e-6)
    assert entropy(current) == pytest.approx(h, abs=1e-6)


@pytest.mark.parametrize(
    ("repeats", "expected"),
    enumerate([2.128, 2.683, 2.999, 3.204, 3.348, 3.456, 3.539, 3.605], 1),
)
def test_repeating_one_unused_tactic_keeps_paying(repeats: int, expected: float) -> None:
    assert kl_divergence(BUSY, {"empowerment": repeats}) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("different", "expected"), enumerate([2.128, 2.310, 2.316, 2.269, 2.204, 2.134], 1)
)
def test_using_more_unused_tactics_peaks_at_three(different: int, expected: float) -> None:
    unused = [name for name in TACTIC_NAMES if name not in BUSY][:different]
    assert kl_divergence(BUSY, dict.fromkeys(unused, 1)) == pytest.approx(expected, abs=5e-4)


def test_missing_previous_turn_is_uniform_in_every_form() -> None:
    values = {
        kl_divergence(previous, {"advice": 2})
        for previous in (None, {}, [0] * 10, dict.fromkeys(TACTIC_NAMES, None))
    }
    assert len(values) == 1


def test_arrow_none_entries_count_zero() -> None:
    filled = {**dict.fromkeys(TACTIC_NAMES, None), "validation": 1}
    assert kl_divergence(filled, {"advice": 1}) == kl_divergence({"validation": 1}, {"advice": 1})


def test_kl_stays_within_its_bounds() -> None:
    for repeats in (1, 10, 1000):
        assert 0.0 <= kl_divergence({"advice": repeats}, {"validation": repeats}) <= KL_CAP
    assert kl_divergence({"advice": 10**6}, {"validation": 10**6}) == KL_CAP


@pytest.mark.parametrize("alpha", [0.0, -1.0, math.nan])
def test_alpha_must_be_positive(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be > 0"):
        kl_divergence({}, {"advice": 1}, alpha)


@pytest.mark.parametrize("counts", [[-1] + [0] * 9, [math.nan] + [0] * 9, [1] * 9, {"x": 1}])
def test_counts_that_are_no_counts_are_refused(counts: object) -> None:
    with pytest.raises(DataError):
        entropy(counts)  # type: ignore[arg-type]


def test_bigram_golden_values() -> None:
    history = {("validation", "advice"): 2}
    assert ngram_surprisal(history, [{"validation"}, {"advice"}], order=2) == pytest.approx(
        0.356675, abs=1e-6
    )
    mixed = [{"validation"}, {"questioning", "advice"}]
    assert ngram_surprisal(history, mixed, order=2) == pytest.approx(1.878936, abs=1e-6)
    assert ngram_surprisal({}, [{"validation"}, {"advice"}], order=2) == pytest.approx(math.log(10))


@pytest.mark.parametrize("sentences", [[], [{"advice"}], [{"advice"}, set(), {"advice"}]])
def test_no_neighbouring_pair_gives_no_surprisal(sentences: list[set[str]]) -> None:
    assert ngram_surprisal({}, sentences, order=2) == 0.0
    assert ngram_surprisal({}, sentences, order=3) == 0.0


def test_trigram_conditions_on_both_earlier_sentences() -> None:
    history = {("validation", "advice", "questioning"): 3}
    seen = ngram_surprisal(history, [{"validation"}, {"advice"}, {"questioning"}], order=3)
    other = ngram_surprisal(history, [{"advice"}, {"advice"}, {"questioning"}], order=3)
    assert seen == pytest.approx(-math.log(3.1 / 4.0))
    assert other == pytest.approx(math.log(10))


def test_history_counts_flattened_turns_and_never_across_turns() -> None:
    turns = [[["validation", "advice"], ["questioning"]], [["advice"]]]
    assert history_ngrams(turns, 2) == {
        ("validation", "advice"): 1,
        ("advice", "questioning"): 1,
    }
    assert history_ngrams(turns, 3) == {("validation", "advice", "questioning"): 1}
