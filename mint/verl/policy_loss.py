"""The policy loss "mint_on_policy": policy gradient of the policy that wrote the replies.

While one update follows a batch, the policy that is updated is the one that has sampled it, and
PPO's ratio of the two is 1 for every token: nothing is clipped, and its gradient is that of
-A * log p. Taking the ratio to itself says so without computing old log-probabilities first,

    loss = aggregate of -A * exp(log p - stop_gradient(log p))        (* w, where weights are given)

with A the advantage of the reply and w verl's weights for rollouts of another distribution. Same
value and gradient as PPO's clipped loss (arXiv 1707.06347, equation 7) with recomputed old
log-probabilities; wrong with more than one update a batch, which preflight refuses.

How far the engine that sampled the replies agrees with the trainer is measured on the way: sums
over tokens, which add up over micro-batches and ranks (`settle_agreement` makes figures of them).
Importing this module registers the loss with verl (`actor.policy_loss.loss_mode`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from verl.trainer.ppo.core_algos import agg_loss, register_policy_loss

NAME = "mint_on_policy"
_SUM = "actor/agreement_"
_ROUNDING = 1e-13
"""A variance below this share of the mean square is none."""
_FROM_OLD_PASS = "training/rollout_actor_probs_pearson_corr"


@register_policy_loss(NAME)
def on_policy_loss(
    old_log_prob: torch.Tensor,
    log_prob: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    loss_agg_mode: str = "token-mean",
    config: Any = None,
    rollout_is_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """The scalar loss, and what `settle_agreement` reads.

    All tensors are [replies, tokens]; `old_log_prob` is the rollout engine's where no pass has
    recomputed it and only compared with; `config` is verl's ActorConfig.
    """
    ratio = (log_prob - log_prob.detach()).exp()
    losses = -advantages * ratio
    if rollout_is_weights is not None:
        losses = losses * rollout_is_weights
    loss = agg_loss(
        loss_mat=losses,
        loss_mask=response_mask,
        loss_agg_mode=loss_agg_mode,
        **config.global_batch_info,
    )
    sums = _sums(old_log_prob, log_prob.detach(), response_mask, _clip_range(config))
    return loss, {f"{_SUM}{name}": value for name, value in sums.items()}


def settle_agreement(metrics: dict[str, Any]) -> None:
    """Put agreement and entropy of a step's update under verl's names, in place of the sums.

    Figures of a pass before the update stay. Probabilities are those of the sampled tokens, p the
    trainer's and q the rollout's: their Pearson correlation; mean |p - q|; mean of log q - log p
    (an estimate of KL(q, p) in nats); share of tokens with p / q outside the clip range; mean over
    replies of the |difference of mean log-probabilities|.
    """
    names = [name for name in metrics if name.startswith(_SUM)]
    # Means over micro-batches and ranks of the sums: only their ratios have a meaning.
    sums = {name.removeprefix(_SUM): float(metrics.pop(name)) for name in names}
    if _FROM_OLD_PASS in metrics:
        return
    if "actor/entropy_loss" in metrics:
        metrics["actor/entropy"] = float(metrics["actor/entropy_loss"])
    if sums.get("tokens"):
        metrics.update(_figures(sums))


def _figures(sums: Mapping[str, float]) -> dict[str, float]:
    p, q, pp, qq, pq = (sums[name] / sums["tokens"] for name in ("p", "q", "pp", "qq", "pq"))
    variances = pp - p * p, qq - q * q
    figures = {
        "training/rollout_probs_diff_mean": sums["diff"] / sums["tokens"],
        "actor/ppo_kl": sums["log_ratio"] / sums["tokens"],
        "actor/pg_clipfrac": sums["beyond"] / sums["tokens"],
        "rollout_corr/log_ppl_abs_diff": sums["log_ppl"] / sums["replies"],
    }
    if variances[0] > _ROUNDING * pp and variances[1] > _ROUNDING * qq:
        figures[_FROM_OLD_PASS] = (pq - p * q) / math.sqrt(variances[0] * variances[1])
    return figures


@torch.no_grad()
def _sums(
    rollout: torch.Tensor, trainer: torch.Tensor, mask: torch.Tensor, clip: tuple[float, float]
) -> dict[str, float]:
    """Sums over the tokens in `mask`, in float64: the correlation is a difference of large ones."""
    log_q, log_p = rollout.double(), trainer.double()
    q, p = log_q.exp(), log_p.exp()
    ratio = log_p - log_q
    beyond = (ratio.exp() < 1 - clip[0]) | (ratio.exp() > 1 + clip[1])
    tokens = mask.double().sum(-1)
    by_reply = (torch.where(mask.bool(), ratio, 0.0).sum(-1) / tokens.clamp(min=1)).abs()
    values = {
        "p": p,
        "q": q,
        "pp": p * p,
        "qq": q * q,
        "pq": p * q,
        "diff": (p - q).abs(),
        "log_ratio": -ratio,
        "beyond": beyond.double(),
    }
    sums = {name: torch.where(mask.bool(), value, 0.0).sum() for name, value in values.items()}
    sums |= {"tokens": tokens.sum(), "replies": (tokens > 0).sum(), "log_ppl": by_reply.sum()}
    numbers = torch.stack([value.double() for value in sums.values()]).tolist()
    return dict(zip(sums, numbers, strict=True))


def _clip_range(config: Any) -> tuple[float, float]:
    """How far below and above 1 a ratio may be before PPO clips it."""
    low, high = config.clip_ratio_low, config.clip_ratio_high
    whole = float(config.clip_ratio)
    return (whole if low is None else float(low), whole if high is None else float(high))
