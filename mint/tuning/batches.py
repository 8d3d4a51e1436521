"""Samples as the rows of a piece of a step: padded to like lengths, or packed.

S samples stand in R rows of L tokens; FLAT indices count row by row. Padding is on the right,
behind everything that is read, so causal attention never sees it and padded rows need no mask.
Packed samples are kept apart by positions that begin at 0 again, of which transformers makes a
block mask (`transformers.masking_utils.find_packed_sequence_indices`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch

from mint.policy.warm_start import Example

Item = TypeVar("Item")
_LEAST_FULL = 0.75
"""The shortest sample of a padded piece is at least this part of the longest."""


class Rows(NamedTuple):
    """Samples ready for a model."""

    ids_RL: torch.Tensor
    positions_RL: torch.Tensor | None
    """None where rows hold one sample each."""
    starts_S: torch.Tensor
    """FLAT index of each sample's first token."""
    prompts_S: torch.Tensor
    """Tokens of each prompt."""
    replies_S: torch.Tensor
    """Tokens of each reply, 0 without one."""

    def last_of_prompt(self) -> torch.Tensor:
        """FLAT index of the last token before each reply, [S]."""
        return self.starts_S + self.prompts_S - 1

    def last_of_reply(self) -> torch.Tensor:
        """FLAT index of the last token of each sample, [S]."""
        return self.last_of_prompt() + self.replies_S

    def predicting(self, samples_K: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the replies of some samples: FLAT index of the token before each reply token, and the
        place in `samples_K` that it belongs to; the token itself stands one further. [T], [T]."""
        counts_K = self.replies_S[samples_K]
        owner_T = torch.arange(len(samples_K), device=counts_K.device).repeat_interleave(counts_K)
        first_T = (counts_K.cumsum(0) - counts_K)[owner_T]
        within_T = torch.arange(len(owner_T), device=counts_K.device) - first_T
        return self.last_of_prompt()[samples_K][owner_T] + within_T, owner_T

    def to(self, device: torch.device) -> Rows:
        """The same on a device."""
        return Rows(*(None if t is None else t.to(device) for t in self))  # type: ignore[arg-type]


def make_rows(samples: Sequence[Example], *, packing: bool, row_tokens: int) -> Rows:
    """The samples in rows, in their order; packed rows have at most `row_tokens` tokens, or one
    longer sample."""
    lengths = [sample.num_tokens for sample in samples]
    rows = [[place] for place in range(len(samples))]
    if packing:
        rows = [[]]
        for place, length in enumerate(lengths):
            if rows[-1] and sum(lengths[other] for other in rows[-1]) + length > row_tokens:
                rows.append([])
            rows[-1].append(place)
    width = max(sum(lengths[place] for place in row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    positions = torch.zeros(len(rows), width, dtype=torch.long)
    starts = [0] * len(samples)
    for number, row in enumerate(rows):
        at = 0
        for place in row:
            tokens = torch.tensor([*samples[place].prompt, *samples[place].reply])
            ids[number, at : at + len(tokens)] = tokens
            positions[number, at : at + len(tokens)] = torch.arange(len(tokens))
            starts[place] = number * width + at
            at += len(tokens)
        positions[number, at:] = torch.arange(width - at)  # padding is a sample of its own
    return Rows(
        ids,
        positions if packing else None,
        torch.tensor(starts),
        torch.tensor([len(sample.prompt) for sample in samples]),
        torch.tensor([len(sample.reply) for sample in samples]),
    )


def pieces(
    items: Sequence[Item], lengths: Sequence[int], *, tokens: int, packing: bool
) -> list[list[Item]]:
    """The items in pieces of at most `tokens` tokens, padding included where it is used; a longer
    item is a piece of its own. Padded pieces hold items of like length."""
    order = sorted(range(len(items)), key=lambda place: lengths[place])
    found: list[list[int]] = [[]]
    for place in order:
        own, length = found[-1], lengths[place]
        # Ascending: the new item is the longest of its piece.
        size = sum(lengths[p] for p in own) + length if packing else (len(own) + 1) * length
        uneven = not packing and own and lengths[own[0]] < _LEAST_FULL * length
        if own and (size > tokens or uneven):
            found.append([])
        found[-1].append(place)
    return [[items[place] for place in own] for own in found if own]
