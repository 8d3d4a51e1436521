"""Direct preference optimisation (Rafailov et al., arXiv 2305.18290). Pure.

With s = log p(reply | prompt), the sum over the reply's tokens, of the policy and of the reference:

    reward  r = beta * (s_policy - s_reference)
    margin  m = r_chosen - r_rejected
    loss      = -(1 - e) * log sigmoid(m) - e * log sigmoid(-m)

e, the label smoothing, is the share of pairs that may be the wrong way round (conservative DPO,
Mitchell 2023): with e > 0 the loss is least at the finite margin log((1 - e) / e), so that pairs
which are right by accident do not drive the policy away without end.

Suffixes: _P pairs, _T tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid


class PairLogProbs(NamedTuple):
    """Log-probabilities of whole replies under one model, nats."""

    chosen_P: torch.Tensor
    rejected_P: torch.Tensor


class DpoResult(NamedTuple):
    """Loss of a batch of pairs, and what its curves are made of."""

    loss: torch.Tensor
    """Mean over the pairs, nats; has the gradient."""
    chosen_reward: float
    """Mean of beta * (policy - reference); below 0 the chosen replies have become less likely."""
    rejected_reward: float
    margin: float
    """Mean of chosen - rejected reward."""
    accuracy: float
    """Share of pairs with a margin above 0, one of exactly 0 counted half; in [0, 1]."""


def dpo(
    policy: PairLogProbs, reference: PairLogProbs, beta: float, label_smoothing: float = 0.0
) -> DpoResult:
    """The loss of at least one pair. `beta` > 0; `label_smoothing` in [0, 0.5)."""
    chosen_P = beta * (policy.chosen_P - reference.chosen_P)
    rejected_P = beta * (policy.rejected_P - reference.rejected_P)
    margin_P = chosen_P - rejected_P
    right_P, wrong_P = logsigmoid(margin_P), logsigmoid(-margin_P)
    loss = -((1 - label_smoothing) * right_P + label_smoothing * wrong_P).mean()
    with torch.no_grad():
        won_P = (margin_P > 0).float() + 0.5 * (margin_P == 0).float()
        return DpoResult(
            loss=loss,
            chosen_reward=chosen_P.mean().item(),
            rejected_reward=rejected_P.mean().item(),
            margin=margin_P.mean().item(),
            accuracy=won_P.mean().item(),
        )


def kl_from_reference(policy_T: torch.Tensor, reference_T: torch.Tensor) -> float:
    """KL(reference || policy), nats a token, from log-probabilities of tokens that the reference
    has drawn; NaN without any.

    Schulman's k3 estimator, exp(d) - 1 - d with d = policy - reference: unbiased as the plain mean
    of -d is, never negative, and of far smaller variance.
    """
    if not policy_T.numel():
        return float("nan")
    change_T = policy_T.double() - reference_T.double()
    return (torch.expm1(change_T) - change_T).mean().item()
