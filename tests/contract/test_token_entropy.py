"""The policy loss of the R1-Zero-Div baseline, as verl's actor calls it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from verl.trainer.ppo.core_algos import get_policy_loss_fn
from verl.workers.config import FSDPActorConfig, PolicyLossConfig

from mint.config import compose, recipes
from mint.verl.token_entropy import NAME

pytestmark = pytest.mark.contract


def loss_of(
    advantages: torch.Tensor, log_prob: torch.Tensor, old: torch.Tensor, coefficient: float
) -> tuple[torch.Tensor, dict[str, Any]]:
    config = FSDPActorConfig(
        strategy="fsdp2",
        ppo_micro_batch_size_per_gpu=1,
        rollout_n=2,
        policy_loss=PolicyLossConfig(loss_mode=NAME, ppo_kl_coef=coefficient),
    )
    mask = torch.ones_like(log_prob)
    mask[0, -1] = 0
    return get_policy_loss_fn(NAME)(
        old_log_prob=old,
        log_prob=log_prob,
        advantages=advantages,
        response_mask=mask.bool(),
        loss_agg_mode="token-mean",
        config=config,
    )


def test_only_good_replies_are_paid_for_uncertain_tokens() -> None:
    old = torch.log(torch.tensor([[0.5, 0.2, 0.9], [0.1, 0.4, 0.3]]))
    log_prob = torch.log(torch.tensor([[0.4, 0.3, 0.9], [0.2, 0.4, 0.3]]))
    good = torch.tensor([[1.0] * 3, [-1.0] * 3])
    plain, _ = loss_of(good, log_prob, old, 0.0)
    paid, metrics = loss_of(good, log_prob, old, 0.5)
    # First reply's two unmasked tokens, over the five unmasked tokens of both.
    bonus = -(0.8 * log_prob[0, 0] + 1.5 * log_prob[0, 1]) / 5
    assert metrics["actor/token_entropy"] == pytest.approx(float(bonus))
    assert float(plain - paid) == pytest.approx(0.5 * float(bonus))
    _, none = loss_of(-good.abs(), log_prob, old, 0.5)
    assert none["actor/token_entropy"] == 0


def test_it_pushes_good_replies_towards_uncertainty() -> None:
    old = torch.log(torch.tensor([[0.9, 0.9, 0.9], [0.9, 0.9, 0.9]]))
    tiny = torch.full((2, 3), 1e-6)
    log_prob = old.clone().requires_grad_()
    loss_of(tiny, log_prob, old, 1.0)[0].backward()
    # d/dlogp of -p/old * logp at p = old is -(1 + logp): a sure token is made less likely ...
    assert (log_prob.grad[1] > 0).all() == (1 + old[1] > 0).all()
    assert torch.allclose(log_prob.grad[1], (1 + old[1]) / 5, atol=1e-5)


def test_the_baseline_uses_it_and_nothing_about_tactics() -> None:
    recipes.register(recipes.find_recipes())
    config = compose.compose_config(["+recipe=r1_zero_div_4b"])
    assert config.actor_rollout_ref.actor.policy_loss.loss_mode == NAME
    assert config.actor_rollout_ref.actor.entropy_coeff == 0
    assert config.mint.reward.mode == "quality_only"
    assert config.mint.data.style == "plain"
    assert config.actor_rollout_ref.model.external_lib == "mint.verl.gpu_engine"
