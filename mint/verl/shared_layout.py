"""Where every distinct token of a batch stands when siblings share their prompt.

A group is `[prompt][reply 1][reply 2]...`: the prompt once, then what each reply needs of itself. A
reply sees its prompt and itself, and its positions go on from the prompt's, so each token gets the
numbers it would get in a row of its own. Only tokens that a scored token follows are there: never
the last one of a reply, nothing behind the last scored one (in a dialogue the other side's words
are seen but not scored), nothing of a reply that is left out of the update.

Pure: token ids and masks in, indices out. Sizes: B rows, N tokens of all rows, T distinct tokens, R
scored ones, K keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class Row(NamedTuple):
    """One reply with its prompt, as it lies in the batch."""

    start: int
    """First token among the N."""
    prompt: bytes
    """The prompt's tokens: rows with the same ones are siblings."""
    prompt_length: int
    scored: Indices
    """Places in the reply whose token is scored, ascending; empty: the row is left out."""

    @property
    def length(self) -> int:
        """Tokens of the reply that the model has to see: those before the last scored one."""
        return int(self.scored[-1]) if len(self.scored) else 0


class Group(NamedTuple):
    """A prompt and the replies that follow it in the layout."""

    start: int
    prompt: int
    replies: tuple[int, ...]
    """Lengths >= 1."""

    @property
    def length(self) -> int:
        return self.prompt + sum(self.replies)


class Pieces(NamedTuple):
    """The layout for a kernel of variable lengths: a sequence for each prompt and each reply."""

    starts_q: torch.Tensor
    """int32 [sequences + 1]: first query of each, then T."""
    starts_k: torch.Tensor
    """int32 [sequences + 1]: first key of each, then K."""
    longest_q: int
    longest_k: int
    keys_K: torch.Tensor
    """Token whose key stands there: a reply's are its prompt's and its own."""


@dataclass(frozen=True)
class Layout:
    """T distinct tokens. No tuple: FSDP and autocast hand it on as it is."""

    source_T: torch.Tensor
    """Which of the N tokens it is."""
    positions_T: torch.Tensor
    scored_R: torch.Tensor
    """Place among the T whose next token is scored; a prompt's last one for all its replies."""
    home_R: torch.Tensor
    """The same place among the N; the scored token is the one after it."""
    groups: tuple[Group, ...]

    def to(self, device: torch.device) -> Layout:
        source_T, positions_T, scored_R, home_R = (
            tensor.to(device)
            for tensor in (self.source_T, self.positions_T, self.scored_R, self.home_R)
        )
        return Layout(source_T, positions_T, scored_R, home_R, self.groups)

    @cached_property
    def pieces(self) -> Pieces:
        """On the layout's device; worked out once for all layers."""
        lengths_q, lengths_k, keys = [], [], []
        for group in self.groups:
            prompt = np.arange(group.start, group.start + group.prompt)
            lengths_q.append(group.prompt)
            lengths_k.append(group.prompt)
            keys.append(prompt)
            at = group.start + group.prompt
            for length in group.replies:
                keys += [prompt, np.arange(at, at + length)]
                lengths_q.append(length)
                lengths_k.append(group.prompt + length)
                at += length
        device = self.source_T.device
        starts_q, starts_k = (
            torch.tensor(np.cumsum([0, *lengths]), dtype=torch.int32, device=device)
            for lengths in (lengths_q, lengths_k)
        )
        keys_K = torch.from_numpy(np.concatenate(keys)).to(device)
        return Pieces(starts_q, starts_k, max(lengths_q), max(lengths_k), keys_K)


def read_rows(
    ids_N: torch.Tensor, starts: Sequence[int], mask: torch.Tensor, mask_starts: Sequence[int]
) -> list[Row]:
    """The B rows of a jagged batch on the host.

    `starts` [B + 1] bounds the rows in `ids_N`, each a prompt and a reply; `mask_starts` [B + 1]
    bounds the replies in `mask`, non-zero where a token is scored. Raises ValueError for a row
    without a prompt.
    """
    ids, scored = ids_N.numpy(), mask.numpy() != 0
    rows = []
    for b in range(len(starts) - 1):
        reply = scored[mask_starts[b] : mask_starts[b + 1]]
        prompt = starts[b + 1] - starts[b] - len(reply)
        if prompt < 1:
            raise ValueError(
                f"row {b} has {prompt} tokens of a prompt, the first reply token needs one"
            )
        tokens = ids[starts[b] : starts[b] + prompt].tobytes()
        rows.append(Row(starts[b], tokens, prompt, np.flatnonzero(reply)))
    return rows


def siblings(rows: Sequence[Row]) -> list[list[int]]:
    """Numbers of the rows with the same prompt, in order of appearance."""
    groups: dict[bytes, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(row.prompt, []).append(number)
    return list(groups.values())


def lay_out(rows: Sequence[Row]) -> Layout:
    """The rows (one at least) with every prompt once. When nothing at all is scored the first row's
    first token is, so that there is something to compute; ranks must do the same number of passes.
    """
    if not any(len(row.scored) for row in rows):
        rows = [rows[0]._replace(scored=np.zeros(1, dtype=np.int64)), *rows[1:]]
    source, positions, scored, home, groups = [], [], [], [], []
    at = 0
    for numbers in siblings(rows):
        members = [rows[n] for n in numbers if len(rows[n].scored)]
        if not members:
            continue
        prompt, begin = members[0].prompt_length, at
        source.append(members[0].start + np.arange(prompt))
        positions.append(np.arange(prompt))
        at += prompt
        for row in members:
            first = row.start + prompt
            source.append(first + np.arange(row.length))
            positions.append(prompt + np.arange(row.length))
            scored.append(np.where(row.scored == 0, begin + prompt - 1, at - 1 + row.scored))
            home.append(first - 1 + row.scored)
            at += row.length
        groups.append(Group(begin, prompt, tuple(row.length for row in members if row.length)))
    source_T, positions_T, scored_R, home_R = (
        torch.from_numpy(np.concatenate(parts)) for parts in (source, positions, scored, home)
    )
    return Layout(source_T, positions_T, scored_R, home_R, tuple(groups))


def micro_batches(rows: Sequence[Row], limit: int) -> list[list[int]]:
    """Numbers of the rows in micro-batches of at most `limit` distinct tokens, siblings together.

    A group is split only when it alone is too long; a row that alone is too long stands alone.
    """
    units = [part for group in siblings(rows) for part in _parts(rows, group, limit)]
    batches: list[tuple[int, list[int]]] = []
    # First fit, longest first: few micro-batches, most of them full.
    for unit in sorted(units, key=lambda unit: -distinct(rows, unit)):
        cost = distinct(rows, unit)
        for number, (used, batch) in enumerate(batches):
            if used + cost <= limit:
                batches[number] = (used + cost, batch + unit)
                break
        else:
            batches.append((cost, unit))
    return [batch for _, batch in batches]


def split_further(rows: Sequence[Row], batches: Sequence[list[int]], count: int) -> list[list[int]]:
    """`count` micro-batches of what were fewer, for ranks that must do as many as another one.

    Groups are kept whole while there are enough. Raises ValueError for fewer rows than that.
    """
    found = list(batches)
    if count > len(rows):
        raise ValueError(f"{len(rows)} rows cannot make {count} micro-batches")
    while len(found) < count:
        number = max(
            (n for n, batch in enumerate(found) if len(batch) > 1),
            key=lambda n: (len(_groups(rows, found[n])) > 1, distinct(rows, found[n])),
        )
        batch = found.pop(number)
        groups = _groups(rows, batch)
        units = groups if len(groups) > 1 else [[row] for row in batch]
        half = len(units) // 2
        found += [[row for unit in part for row in unit] for part in (units[:half], units[half:])]
    return found


def distinct(rows: Sequence[Row], numbers: Sequence[int]) -> int:
    """Tokens of the layout of these rows."""
    chosen = [rows[n] for n in numbers if len(rows[n].scored)]
    prompts = {row.prompt: row.prompt_length for row in chosen}
    return sum(prompts.values()) + sum(row.length for row in chosen)


def _groups(rows: Sequence[Row], numbers: Sequence[int]) -> list[list[int]]:
    """These rows, siblings together."""
    return [[numbers[n] for n in group] for group in siblings([rows[n] for n in numbers])]


def _parts(rows: Sequence[Row], group: list[int], limit: int) -> list[list[int]]:
    """A group, or as few parts of it as keep to the limit."""
    parts: list[list[int]] = [[]]
    for number in group:
        if parts[-1] and distinct(rows, [*parts[-1], number]) > limit:
            parts.append([])
        parts[-1].append(number)
    return parts
