"""The four losses, each over the samples that carry its label and over its own denominator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from mint.supervised.samples import Sample


class Counts(NamedTuple):
    """Denominators of a step, over all of its pieces."""

    lm: float
    """Reply tokens that are learnt."""
    emotion: float
    """Samples with an emotion, by the weights of their classes."""
    strategy: float
    safety: float
    """Tokens of the teacher's replies."""


def counts_of(
    samples: Sequence[Sample], emotion_C: torch.Tensor | None, strategy_C: torch.Tensor | None
) -> Counts:
    """The denominators of a step; class weights or None."""
    emotional = [s.emotions for s in samples if s.emotions is not None]
    strategic = [s.strategy for s in samples if s.strategy is not None]
    return Counts(
        lm=sum(len(s.example.reply) for s in samples if s.learns_reply),
        emotion=float(len(emotional))
        if emotion_C is None
        else sum(float(emotion_C[own[0]]) for own in emotional),
        strategy=float(len(strategic))
        if strategy_C is None
        else sum(float(strategy_C[own]) for own in strategic),
        safety=sum(len(s.example.reply) for s in samples if s.safety),
    )


def class_weights(truth: Sequence[int], classes: int) -> torch.Tensor:
    """n / (classes there x n of the class), 0 for a class without samples, [C].

    >>> class_weights([0, 0, 0, 1], 3).tolist()
    [0.6666666865348816, 2.0, 0.0]
    """
    number_C = torch.bincount(torch.tensor(list(truth)), minlength=classes).float()
    there = int((number_C > 0).sum())
    return torch.where(number_C > 0, len(truth) / (there * number_C.clamp(min=1)), 0.0)


def summed_nll(logits_TV: torch.Tensor, targets_T: torch.Tensor) -> torch.Tensor:
    """Sum of the negative log-likelihoods of the targets, nats."""
    return cross_entropy(logits_TV, targets_T, reduction="sum")


def summed_classes(
    logits_KC: torch.Tensor, truth: Sequence[Sequence[int]], weights_C: torch.Tensor | None
) -> torch.Tensor:
    """Sum of the weighted cross-entropies of samples with one class each."""
    target_K = torch.tensor([own[0] for own in truth], device=logits_KC.device)
    weights_C = None if weights_C is None else weights_C.to(logits_KC.device)
    return cross_entropy(logits_KC, target_K, weight=weights_C, reduction="sum")


def summed_several(logits_KC: torch.Tensor, truth: Sequence[Sequence[int]]) -> torch.Tensor:
    """The same of samples with several classes: binary cross-entropies, summed over the classes."""
    target_KC = torch.zeros_like(logits_KC)
    for place, own in enumerate(truth):
        target_KC[place, list(own)] = 1.0
    return binary_cross_entropy_with_logits(logits_KC, target_KC, reduction="sum")


def summed_kl(teacher_TV: torch.Tensor, student_TV: torch.Tensor) -> torch.Tensor:
    """Sum over positions of KL(teacher || student), nats: what the teacher may say, the student
    must still be able to say. From logits; no gradient reaches the teacher."""
    teacher_TV = teacher_TV.detach().log_softmax(dim=-1)
    student_TV = student_TV.log_softmax(dim=-1)
    return (teacher_TV.exp() * (teacher_TV - student_TV)).sum()
