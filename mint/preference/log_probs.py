"""Log-probabilities of replies under a model, and those of the reference in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy

from mint.policy.warm_start import Example
from mint.shell.console import progress_bar
from mint.shell.files import replacing
from mint.tuning.batches import make_rows, pieces
from mint.tuning.model import autocast, hidden_states, logits_of
from mint.tuning.settings import BatchSettings
from rewards.errors import DataError

REFERENCE = "reference.safetensors"


class Computing(NamedTuple):
    """How a model is computed."""

    model: Any
    device: torch.device
    dtype: torch.dtype
    temperature: float
    """Logits are divided by it: the policy is the one that replies are drawn from."""
    batch: BatchSettings


class ReplyLogProbs(NamedTuple):
    """Of S replies with T tokens in all, nats."""

    sums_S: torch.Tensor
    tokens_T: torch.Tensor
    """Token by token, reply by reply."""


def log_probs(computing: Computing, samples: Sequence[Example]) -> ReplyLogProbs:
    """Of one piece, with gradient where gradients are on."""
    batch = computing.batch
    rows = make_rows(samples, packing=batch.packing, row_tokens=batch.tokens).to(computing.device)
    places = torch.arange(len(samples), device=computing.device)
    index_T, owner_T = rows.predicting(places)
    with autocast(computing.device, computing.dtype):
        hidden_TH = hidden_states(computing.model, rows)[index_T]
        logits_TV = logits_of(computing.model, hidden_TH)
    tokens_T = -cross_entropy(
        logits_TV.float() / computing.temperature,
        rows.ids_RL.flatten()[index_T + 1],
        reduction="none",
    )
    sums_S = tokens_T.new_zeros(len(samples)).index_add(0, owner_T, tokens_T)
    return ReplyLogProbs(sums_S, tokens_T)


@torch.no_grad()
def all_log_probs(
    computing: Computing, samples: Sequence[Example], title: str | None = None
) -> ReplyLogProbs:
    """Of many, in pieces, on the CPU; `title` shows progress under that name."""
    sums: list[torch.Tensor] = [torch.empty(0)] * len(samples)
    tokens: list[torch.Tensor] = [torch.empty(0)] * len(samples)
    lengths = [sample.num_tokens for sample in samples]
    batch = computing.batch
    with progress_bar(transient=True) as progress:
        task = progress.add_task(title or "", total=len(samples), visible=title is not None)
        for piece in pieces(
            range(len(samples)), lengths, tokens=batch.tokens, packing=batch.packing
        ):
            own = [samples[place] for place in piece]
            found = log_probs(computing, own)
            parts = found.tokens_T.cpu().split([len(sample.reply) for sample in own])
            for place, value, part in zip(piece, found.sums_S.cpu(), parts, strict=True):
                sums[place], tokens[place] = value, part
            progress.advance(task, len(piece))
    none = torch.empty(0)
    return ReplyLogProbs(torch.stack(sums) if sums else none, torch.cat(tokens) if tokens else none)


def save_reference(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write the reference's log-probabilities, whole or not at all."""
    with replacing(path) as temporary:
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)


def load_reference(path: Path, sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    """Read them. Raises DataError unless each has the size that is known of it."""
    found = load_file(path)
    for name, size in sizes.items():
        if name not in found or len(found[name]) != size:
            has = "none" if name not in found else len(found[name])
            raise DataError(
                f"{path}: {name} has {has} values, the pairs need {size}: it belongs to other "
                "pairs; delete it and it is computed again"
            )
    return found
