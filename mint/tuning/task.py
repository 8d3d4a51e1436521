"""What a loop trains: the seam between the loop and what is learnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch


class Share(NamedTuple):
    """What a piece of a step adds to it."""

    loss: torch.Tensor
    """Its part of the step's loss, with gradient: parts are divided by the denominators of the
    whole step, so that they sum to the loss whatever the pieces."""
    metrics: Mapping[str, float]
    """Its part of the step's metrics, which are summed in the same way."""


class Measured(NamedTuple):
    """A measurement on the dev split."""

    metrics: Mapping[str, float | None]
    """Name -> value, as metrics.jsonl has them; None where there was nothing to measure."""
    score: float
    """What steps are chosen by; larger is better."""


class Task(Protocol):
    """Something that can be trained step by step."""

    @property
    def module(self) -> torch.nn.Module:
        """Holds all that is trained: its parameters with `requires_grad`."""

    def steps(self, epoch: int) -> Sequence[Any]:
        """The optimiser steps of an epoch (from 0), the same whenever it is asked."""

    def shares(self, step: Any) -> Iterator[Share]:
        """The pieces of a step, one after the other: the loop goes backward through each before it
        asks for the next."""

    def measure(self) -> Measured:
        """Of the dev split. The module is in evaluation mode and gradients are off."""
