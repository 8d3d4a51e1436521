"""Credit of turns: the arithmetic, and the smallest case in which its choices can be told apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from rewards.credit import (
    BASELINES,
    Floats,
    leave_one_out,
    pooled_deviation,
    returns_to_go,
    scaled,
)

NAN = np.nan


def dialogues(seed: int, most_turns: int = 6) -> Floats:
    """Random values of 2 to 7 dialogues of 1 to `most_turns` turns."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rng.integers(2, 8), most_turns))
    for row, length in zip(values, rng.integers(1, most_turns + 1, len(values)), strict=True):
        row[length:] = NAN
    values[0, -1] = rng.normal()  # one talks to the end
    return np.where(np.isnan(values) & (np.arange(len(values)) == 0)[:, None], 0.0, values)


def test_an_ended_dialogue_counts_zero_for_those_who_talk_on() -> None:
    values = np.array([[3.0, 2.0], [1.0, NAN], [2.0, 4.0]])
    assert leave_one_out(values, "all") == pytest.approx(
        np.array([[1.5, 0.0], [-1.5, NAN], [0.0, 3.0]]), nan_ok=True
    )
    assert leave_one_out(values, "talking") == pytest.approx(
        np.array([[1.5, -2.0], [-1.5, NAN], [0.0, 2.0]]), nan_ok=True
    )


def test_the_last_one_that_talks_has_no_one_to_be_compared_with() -> None:
    values = np.array([[1.0, 5.0], [1.0, NAN]])
    assert leave_one_out(values, "talking")[0, 1] == 0
    assert leave_one_out(values, "all")[0, 1] == 5


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("baseline", BASELINES)
def test_properties_of_the_baseline(seed: int, baseline: str) -> None:
    values = dialogues(seed)
    advantages = scaled(values, baseline)
    assert (np.isnan(advantages) == np.isnan(values)).all()
    order = np.random.default_rng(seed).permutation(len(values))
    assert scaled(values[order], baseline) == pytest.approx(advantages[order], nan_ok=True)
    assert scaled(3 * values, baseline) == pytest.approx(advantages, nan_ok=True, rel=1e-4)
    whole = ~np.isnan(values).any(axis=0)
    sums = np.nansum(advantages, axis=0)
    assert sums[whole if baseline == "all" else slice(None)] == pytest.approx(0.0, abs=1e-9)
    shifted = leave_one_out(values + 7.0, "talking")
    alone = (~np.isnan(values)).sum(0) < 2
    assert shifted[:, ~alone] == pytest.approx(
        leave_one_out(values, "talking")[:, ~alone], nan_ok=True
    )


@pytest.mark.parametrize("seed", range(10))
def test_a_dialogues_own_words_do_not_move_its_baseline(seed: int) -> None:
    values = dialogues(seed)
    changed = values.copy()
    changed[0] += 10.0
    for baseline in BASELINES:
        before, after = leave_one_out(values, baseline)[0], leave_one_out(changed, baseline)[0]
        compared = (~np.isnan(values[1:])).any(0) | (baseline == "all")
        assert (after - before)[compared] == pytest.approx(10.0)


def test_returns_add_up_what_is_to_come() -> None:
    values = dialogues(3)
    returns = returns_to_go(values)
    assert returns[:, 0] == pytest.approx(np.nansum(values, axis=1))
    ahead = np.nan_to_num(returns[:, 1:], nan=0.0)
    talking = ~np.isnan(values[:, :-1])
    assert (returns[:, :-1] - ahead)[talking] == pytest.approx(values[:, :-1][talking])


def test_the_deviation_of_one_turn_is_grpos() -> None:
    column = np.array([[1.0], [2.0], [4.0]])
    assert pooled_deviation(column) == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert pooled_deviation(np.array([[2.0], [2.0]])) == 0
    assert pooled_deviation(np.array([[1.0], [NAN]]), "talking") == 0


def test_unknown_baselines_are_refused() -> None:
    with pytest.raises(ValueError, match="all, talking, got 'alive'"):
        leave_one_out(np.zeros((2, 1)), "alive")


# The toy. Turn 1: stop, or go on with chance GO. Turn 2: say the better thing with chance GOOD.
# A second turn is worth WORTH whatever is said, and GAIN more for the better thing.
GO, GOOD, WORTH, GAIN = 0.6, 0.3, 1.0, 0.5
OUTCOMES = {  # rewards of the turns, chance, d log chance / d (preference of going, of good)
    "stop": ([0.0, NAN], 1 - GO, [-GO, NAN]),
    "good": ([0.0, WORTH + GAIN], GO * GOOD, [1 - GO, 1 - GOOD]),
    "bad": ([0.0, WORTH], GO * (1 - GOOD), [1 - GO, -GOOD]),
}
TRUE = (GO * (1 - GO) * (WORTH + GAIN * GOOD), GO * GOOD * (1 - GOOD) * GAIN)
"""Exact gradient of the expected return for the two preferences."""


def mean_and_variance(credit: Callable[[Floats], Floats], siblings: int) -> tuple[Floats, Floats]:
    """Exact expectation and variance of the estimated gradient over all groups there can be."""
    estimates, chances = [], []
    for group in itertools.product(OUTCOMES.values(), repeat=siblings):
        rewards = np.array([rewards for rewards, _, _ in group])
        scores = np.array([scores for _, _, scores in group])
        estimates.append(np.nansum(credit(rewards) * scores, axis=0) / siblings)
        chances.append(np.prod([chance for _, chance, _ in group]))
    mean = np.average(estimates, axis=0, weights=chances)
    return mean, np.average((np.array(estimates) - mean) ** 2, axis=0, weights=chances)


def by_turn(rewards: Floats) -> Floats:
    """Each turn's reward centred among those who talk at that turn, then added up: what is *not*
    done here."""
    return returns_to_go(leave_one_out(rewards, "talking"))


@pytest.mark.slow
@pytest.mark.parametrize("siblings", [2, 3, 5])
def test_only_returns_see_what_one_more_turn_is_worth(siblings: int) -> None:
    everyone, spread = mean_and_variance(
        lambda rewards: leave_one_out(returns_to_go(rewards), "all"), siblings
    )
    talking, narrower = mean_and_variance(
        lambda rewards: leave_one_out(returns_to_go(rewards), "talking"), siblings
    )
    grouped, _ = mean_and_variance(by_turn, siblings)
    assert everyone == pytest.approx(TRUE)
    # Grouping by turn index: going on teaches nothing although it is worth more than 1.
    assert grouped[0] == pytest.approx(0.0, abs=1e-12)
    # Those who talk: right about going on; late turns count less, as often as nobody else talks.
    alone = (1 - GO) ** (siblings - 1)
    assert talking == pytest.approx([TRUE[0], (1 - alone) * TRUE[1]])
    # In return they are less noisy about late turns.
    assert narrower[1] < spread[1]
    assert narrower[0] == pytest.approx(spread[0])
