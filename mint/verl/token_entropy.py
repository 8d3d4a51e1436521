"""The policy loss "token_entropy": PPO with the token-entropy objective of arXiv 2505.23433.

What MINT's baseline "R1-Zero-Div" adds to a quality reward: replies that are better than their
group (advantage > 0) are also paid for the uncertainty with which their tokens were chosen,

    loss = PPO's loss - coefficient * mean of [advantage > 0] * ratio * (-log p)

over all reply tokens, where p is the policy's probability of the token and ratio = p / p of the
policy that sampled it: the mean estimates the entropy of the current policy on good replies. It is
aggregated like PPO's loss (`actor.loss_agg_mode`). Importing this module registers the loss with
verl; a recipe chooses it with `actor.policy_loss.loss_mode: token_entropy`. The coefficient is
verl's `actor.policy_loss.ppo_kl_coef`, the free number that its policy losses have; its
`entropy_coeff` would add the entropy of every reply, good or bad.
"""

from __future__ import annotations

from typing import Any

import torch
from verl.trainer.ppo.core_algos import agg_loss, compute_policy_loss_vanilla, register_policy_loss

NAME = "token_entropy"
_MAX_LOG_RATIO = 20.0
"""verl's own bound, which keeps the ratio finite."""


@register_policy_loss(NAME)
def token_entropy_loss(
    old_log_prob: torch.Tensor,
    log_prob: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    loss_agg_mode: str = "token-mean",
    config: Any = None,
    rollout_is_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """The scalar loss and verl's metrics, with the bonus as `actor/token_entropy` in nats.

    All tensors are [replies, tokens]; `config` is verl's ActorConfig.
    """
    loss, metrics = compute_policy_loss_vanilla(
        old_log_prob,
        log_prob,
        advantages,
        response_mask,
        loss_agg_mode,
        config,
        rollout_is_weights,
    )
    ratio = (log_prob - old_log_prob).clamp(-_MAX_LOG_RATIO, _MAX_LOG_RATIO).exp()
    bonus = agg_loss(
        loss_mat=torch.where(advantages > 0, -ratio * log_prob, 0.0),
        loss_mask=response_mask,
        loss_agg_mode=loss_agg_mode,
        **config.global_batch_info,
    )
    metrics = {**metrics, "actor/token_entropy": bonus.detach().item()}
    return loss - config.policy_loss.ppo_kl_coef * bonus, metrics
