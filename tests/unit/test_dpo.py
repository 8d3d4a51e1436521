from __future__ import annotations

import math

import pytest
import torch

from mint.preference.dpo import PairLogProbs, dpo, kl_from_reference

pytestmark = pytest.mark.slow


def pairs(chosen: list[float], rejected: list[float]) -> PairLogProbs:
    return PairLogProbs(torch.tensor(chosen), torch.tensor(rejected))


def test_a_policy_that_is_its_reference_has_the_loss_of_a_coin() -> None:
    same = pairs([-12.0, -30.0], [-14.0, -8.0])
    result = dpo(same, same, beta=0.1)
    assert result.loss.item() == pytest.approx(math.log(2), abs=1e-6)
    assert (result.margin, result.accuracy) == (0.0, 0.5)


def test_the_loss_of_two_pairs_by_hand() -> None:
    # Pair 1: 0.1 * ((-10 + 12) - (-15 + 14)) = 0.1 * 3 = 0.3; -log sigmoid(0.3) = 0.554355
    # Pair 2: 0.1 * ((-31 + 30) - (-6 + 8)) = 0.1 * -3 = -0.3; -log sigmoid(-0.3) = 0.854355
    reference = pairs([-12.0, -30.0], [-14.0, -8.0])
    result = dpo(pairs([-10.0, -31.0], [-15.0, -6.0]), reference, beta=0.1)
    assert result.loss.item() == pytest.approx((0.554355 + 0.854355) / 2, abs=1e-5)
    assert result.chosen_reward == pytest.approx((0.2 - 0.1) / 2)
    assert result.rejected_reward == pytest.approx((-0.1 + 0.2) / 2)
    assert result.margin == pytest.approx(0.0, abs=1e-6)
    assert result.accuracy == 0.5


def test_label_smoothing_by_hand() -> None:
    # m = 0.3: 0.9 * 0.554355 + 0.1 * 0.854355 = 0.584355
    reference = pairs([-12.0], [-14.0])
    result = dpo(pairs([-10.0], [-15.0]), reference, beta=0.1, label_smoothing=0.1)
    assert result.loss.item() == pytest.approx(0.584355, abs=1e-5)
    assert result.accuracy == 1.0


def test_the_gradient_raises_the_chosen_reply_and_lowers_the_rejected_one_alike() -> None:
    # d loss / d chosen = -beta * sigmoid(-m); sigmoid(-0.3) = 0.425557
    chosen = torch.tensor([-10.0], requires_grad=True)
    rejected = torch.tensor([-15.0], requires_grad=True)
    policy = PairLogProbs(chosen, rejected)
    dpo(policy, pairs([-12.0], [-14.0]), beta=0.1).loss.backward()
    assert chosen.grad is not None
    assert rejected.grad is not None
    assert chosen.grad.item() == pytest.approx(-0.0425557, abs=1e-6)
    assert rejected.grad.item() == pytest.approx(0.0425557, abs=1e-6)


def test_with_label_smoothing_the_loss_is_least_at_a_finite_margin() -> None:
    # log(0.9 / 0.1) = 2.1972; beta 1, so the policy's difference is the margin itself
    margin = torch.tensor([math.log(9)], requires_grad=True)
    zero = torch.zeros(1)
    loss = dpo(PairLogProbs(margin, zero), PairLogProbs(zero, zero), 1.0, 0.1).loss
    loss.backward()
    assert margin.grad is not None
    assert margin.grad.item() == pytest.approx(0.0, abs=1e-6)


def test_kl_is_that_of_two_coins() -> None:
    # The reference draws heads 3 times of 4, the policy says 1/2: on the reference's own draws in
    # their true shares the estimator is exact: 0.75 log(0.75/0.5) + 0.25 log(0.25/0.5) = 0.130812
    reference = torch.log(torch.tensor([0.75, 0.75, 0.75, 0.25]))
    policy = torch.log(torch.full((4,), 0.5))
    assert kl_from_reference(policy, reference) == pytest.approx(0.130812, abs=1e-6)
    assert kl_from_reference(reference, reference) == 0.0


def test_kl_of_nothing_is_no_number() -> None:
    assert math.isnan(kl_from_reference(torch.empty(0), torch.empty(0)))
