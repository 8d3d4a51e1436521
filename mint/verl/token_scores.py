"""Log-probabilities and entropies of chosen tokens, without keeping the vocabulary in float32.

Sizes: R scored tokens, H hidden numbers, V words of the vocabulary.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

_CHUNK = 2**20
"""Numbers looked at together: what a processor's cache holds."""


@dataclass(frozen=True)
class Asked:
    """What is wanted of the R tokens. No tuple: FSDP and autocast hand it on as it is."""

    labels_R: torch.Tensor
    temperature: float | torch.Tensor
    """Sampling temperature they were drawn with; a tensor has one for each of them."""
    entropy: bool


def scoring_linear(
    self: nn.Linear, hidden_RH: torch.Tensor, asked: Asked | None = None
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor | None]:
    """The forward pass of an output layer that scores by itself when asked to.

    Within it because FSDP2 shards the weights of output layers that are not tied to the embeddings:
    they are whole only there, and their gradients are collected there.
    """
    if asked is None:
        return linear(hidden_RH, self.weight, self.bias)
    if not hidden_RH.is_cuda or self.bias is not None:
        return score_logits(unrounded(hidden_RH, self.weight, self.bias), asked)
    if isinstance(asked.temperature, float):
        return fused(hidden_RH, self.weight, asked, asked.temperature)
    scale = asked.temperature.unsqueeze(-1)
    return fused((hidden_RH / scale).to(hidden_RH.dtype), self.weight, asked, 1.0)


def unrounded(
    hidden_RH: torch.Tensor, weight_VH: torch.Tensor, bias_V: torch.Tensor | None
) -> torch.Tensor:
    """Logits [R, V] whose inputs are rounded as autocast says, but not they themselves.

    A logit of 20 in bfloat16 is up to .06 off, more than all layers before it put together. The
    fused kernel keeps them in float32 as well.
    """
    device = hidden_RH.device.type
    if not torch.is_autocast_enabled(device):
        return linear(hidden_RH, weight_VH, bias_V)
    rounded = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        hidden_RH, weight_VH = (x.to(rounded).float() for x in (hidden_RH, weight_VH))
        return linear(hidden_RH, weight_VH, None if bias_V is None else bias_V.float())


def score(
    hidden_RH: torch.Tensor, head: nn.Module, asked: Asked
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """float32 log-probabilities [R] and, when asked for, entropies [R] in nats.

    `head` is an output layer that `scores_itself` has seen, or any other, such as one with LoRA.
    """
    if isinstance(head, nn.Linear):
        return head(hidden_RH, asked)  # type: ignore[no-any-return]
    return score_logits(head(hidden_RH), asked)


def scores_itself(head: nn.Linear) -> None:
    """Give this output layer `scoring_linear` as its forward pass."""
    head.forward = MethodType(scoring_linear, head)  # type: ignore[method-assign]


def score_logits(logits_RV: torch.Tensor, asked: Asked) -> tuple[torch.Tensor, torch.Tensor | None]:
    """`score` of logits."""
    with torch.autocast(logits_RV.device.type, enabled=False):
        log_probs, entropy = _Scores.apply(
            logits_RV, asked.labels_R, _column(asked.temperature, logits_RV), asked.entropy
        )
    return log_probs, entropy if asked.entropy else None


def fused(
    hidden_RH: torch.Tensor, weight_VH: torch.Tensor, asked: Asked, temperature: float
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The same without ever holding R x V numbers: verl's triton kernel, its torch form without."""
    hidden_RH = hidden_RH.to(weight_VH.dtype)
    if hidden_RH.is_cuda and importlib.util.find_spec("triton") is not None:
        from verl.utils.kernel.linear_cross_entropy import linear_cross_entropy

        found = linear_cross_entropy(hidden_RH, weight_VH, asked.labels_R, temperature, "none")
    else:
        from verl.utils.experimental.torch_functional import FusedLinearForPPO

        batch = (hidden_RH[None], weight_VH, asked.labels_R[None], temperature)
        found = tuple(x[0] for x in FusedLinearForPPO().forward(*batch))
    log_probs, entropy = found
    return log_probs.float(), entropy.float() if asked.entropy else None


def _column(temperature: float | torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
    """[R, 1], or [1, 1] for one temperature."""
    column = torch.as_tensor(temperature, dtype=torch.float32, device=beside.device)
    return column.reshape(-1, 1)


class _Scores(torch.autograd.Function):
    """log p(label) and -sum p log p of softmax(logits / temperature), a few rows at a time.

    Keeps the logits as they came:
    d log p / dz = (1[label] - p) / temperature, dH / dz = -p (log p + H) / temperature.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        labels: torch.Tensor,
        temperature: torch.Tensor,
        wanted: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        log_probs = logits.new_empty(len(logits), dtype=torch.float32)
        total, entropy = torch.empty_like(log_probs), torch.zeros_like(log_probs)
        for rows in _chunks(logits):
            z = logits[rows].float() / _of(temperature, rows)
            total[rows] = z.logsumexp(-1)
            log_probs[rows] = z.gather(1, labels[rows, None])[:, 0] - total[rows]
            if wanted:
                z -= total[rows, None]
                entropy[rows] = -(z.exp() * z).sum(-1)
        ctx.save_for_backward(logits, labels, temperature, total, entropy)
        ctx.wanted = wanted
        return log_probs, entropy

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        logits, labels, temperature, total, entropy = ctx.saved_tensors
        of_log_prob, of_entropy = grads
        result = torch.empty_like(logits)
        for rows in _chunks(logits):
            scale = _of(temperature, rows)
            log_p = (logits[rows].float() / scale).sub_(total[rows, None])
            p = log_p.exp()
            weight = of_log_prob[rows, None]
            if ctx.wanted:
                weight = weight + of_entropy[rows, None] * (log_p + entropy[rows, None])
            grad = p.mul_(-weight)
            grad.scatter_add_(1, labels[rows, None], of_log_prob[rows, None])
            result[rows] = grad.div_(scale).to(result.dtype)
        return result, None, None, None


def _chunks(logits_RV: torch.Tensor) -> list[slice]:
    step = max(1, _CHUNK // logits_RV.shape[1])
    return [slice(at, at + step) for at in range(0, len(logits_RV), step)]


def _of(temperature: torch.Tensor, rows: slice) -> torch.Tensor:
    return temperature[rows] if len(temperature) > 1 else temperature
