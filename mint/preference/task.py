"""DPO as a task of the tuning loop."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from mint.policy.warm_start import Example
from mint.preference.dpo import DpoResult, PairLogProbs, dpo, kl_from_reference
from mint.preference.log_probs import Computing, all_log_probs, log_probs
from mint.preference.settings import DpoSettings
from mint.tuning.batches import pieces
from mint.tuning.task import Measured, Share


class EncodedPair(NamedTuple):
    """A pair as tokens, with what the reference says of it."""

    chosen: Example
    rejected: Example
    reference_chosen: float
    """Log-probability of the whole reply, nats."""
    reference_rejected: float

    @property
    def num_tokens(self) -> int:
        """Of the longer of the two, doubled: what a padded piece holds of it."""
        return 2 * max(self.chosen.num_tokens, self.rejected.num_tokens)


class Control(NamedTuple):
    """Plain samples of the reference, for the distance from it."""

    samples: Sequence[Example]
    reference_T: torch.Tensor
    """Log-probabilities of their tokens under the reference, reply by reply."""


class DpoTask:
    """Pairs to learn, pairs to choose the step by, and how far the policy has gone.

    Metrics: accuracy, margin, chosen_reward and rejected_reward as `mint.preference.dpo` defines
    them; kl, KL(reference || policy) in nats a token over the control replies of the dev split.
    """

    def __init__(
        self,
        computing: Computing,
        train: Sequence[EncodedPair],
        dev: Sequence[EncodedPair],
        control: Control,
        settings: DpoSettings,
        seed: int,
    ) -> None:
        self._computing, self._settings, self._seed = computing, settings, seed
        self._train, self._dev, self._control = train, dev, control

    @property
    def module(self) -> torch.nn.Module:
        """See `Task`."""
        module: torch.nn.Module = self._computing.model
        return module

    def steps(self, epoch: int) -> Sequence[list[EncodedPair]]:
        """See `Task`: the pairs in random order; an uneven rest is left to a later epoch unless it
        is all there is."""
        order = list(self._train)
        random.Random(f"{self._seed}:{epoch}").shuffle(order)
        size = min(self._computing.batch.size, len(order))
        return [order[start : start + size] for start in range(0, len(order) - size + 1, size)]

    def shares(self, step: Sequence[EncodedPair]) -> Iterator[Share]:
        """See `Task`."""
        for piece in _pieces(step, self._computing):
            found = self._loss(piece)
            part = len(piece) / len(step)
            yield Share(part * found.loss, {n: part * v for n, v in _metrics(found).items()})

    def measure(self) -> Measured:
        """See `Task`. Steps are chosen by the dev pairs' loss."""
        sums = {"loss": 0.0, **dict.fromkeys(_NAMES, 0.0)}
        for piece in _pieces(self._dev, self._computing):
            found = self._loss(piece)
            part = len(piece) / len(self._dev)
            sums["loss"] += part * float(found.loss)
            for name, value in _metrics(found).items():
                sums[name] += part * value
        metrics: dict[str, float | None] = {**sums, "kl": self._kl()}
        return Measured(metrics, -sums["loss"])

    def _loss(self, piece: Sequence[EncodedPair]) -> DpoResult:
        both = [pair.chosen for pair in piece] + [pair.rejected for pair in piece]
        sums = log_probs(self._computing, both).sums_S
        policy = PairLogProbs(sums[: len(piece)], sums[len(piece) :])
        reference = PairLogProbs(
            sums.new_tensor([pair.reference_chosen for pair in piece]),
            sums.new_tensor([pair.reference_rejected for pair in piece]),
        )
        return dpo(policy, reference, self._settings.beta, self._settings.label_smoothing)

    def _kl(self) -> float | None:
        if not self._control.samples:
            return None
        policy = all_log_probs(self._computing, self._control.samples)
        kl = kl_from_reference(policy.tokens_T, self._control.reference_T)
        return None if math.isnan(kl) else kl


_NAMES = ("accuracy", "margin", "chosen_reward", "rejected_reward")


def _metrics(found: DpoResult) -> dict[str, float]:
    return {name: getattr(found, name) for name in _NAMES}


def _pieces(pairs: Sequence[EncodedPair], computing: Computing) -> list[list[EncodedPair]]:
    batch = computing.batch
    lengths = [pair.num_tokens for pair in pairs]
    return pieces(pairs, lengths, tokens=batch.tokens, packing=batch.packing)
