"""Causal attention over packed rows on torch's own kernel, in the place of flash-attn.

verl packs the rows of a micro-batch one after the other (`use_remove_padding`), with positions that
begin at 0 in each row, and needs an attention that keeps the rows apart. On a GPU that is one call
of `torch.nn.attention.varlen.varlen_attn` a layer, the flash-attention kernel that torch ships;
elsewhere torch's SDPA row by row, which is also what the kernel is checked against.

Importing this module registers the implementation with transformers under `ATTENTION`; recipes
name it in `actor_rollout_ref.model.override_config.attn_implementation`. Shapes: N packed tokens,
Hq heads of queries and Hk of keys (Hq a multiple of Hk), D numbers a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface

from mint.verl.shared_attention import by_token, causal, shared_attention, varlen
from mint.verl.shared_layout import Layout

ATTENTION = "mint_packed_causal"
_ROWS = "mint_packed_rows"


class Rows(NamedTuple):
    """Where the packed rows are."""

    starts: torch.Tensor
    """int32 [rows + 1] on the tokens' device: first token of each row, then N."""
    lengths: tuple[int, ...]
    """Tokens of each row."""


def rows_of(position_ids: torch.Tensor) -> Rows:
    """The rows in [1, N] `position_ids`: one begins wherever the position is 0.

    Raises ValueError when the first token does not begin a row.
    """
    known = getattr(position_ids, _ROWS, None)
    if known is not None:
        return known  # type: ignore[no-any-return]
    firsts = (position_ids[0] == 0).nonzero()[:, 0].tolist()
    if not firsts or firsts[0] != 0:
        raise ValueError("packed position_ids must begin with 0")
    ends = [*firsts[1:], position_ids.shape[1]]
    starts = torch.tensor([*firsts, ends[-1]], dtype=torch.int32, device=position_ids.device)
    rows = Rows(starts, tuple(end - first for first, end in zip(firsts, ends, strict=True)))
    # All layers get the same tensor: it waits for the GPU once a micro-batch, not once a layer.
    setattr(position_ids, _ROWS, rows)
    return rows


def packed_causal_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    position_ids: torch.Tensor | None = None,
    layout: Layout | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """[1, Hq, N, D] queries, [1, Hk, N, D] keys and values -> [1, N, Hq, D].

    The form transformers expects of an attention function. Tokens are laid out as `layout` says, or
    else row after row as `position_ids` do. Raises ValueError for what it does not do: padded
    batches, dropout, soft caps, sliding windows without a layout.
    """
    if attention_mask is not None or query.shape[0] != 1:
        raise ValueError(f"{ATTENTION} takes packed rows, not a padded batch with a mask")
    if dropout or softcap is not None:
        raise ValueError(f"{ATTENTION} has no dropout and no soft caps")
    if layout is not None:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        out = shared_attention(query[0], key[0], value[0], layout, scale, sliding_window)
        return out.unsqueeze(0), None
    if sliding_window is not None:
        raise ValueError(f"{ATTENTION} has no sliding window without a layout")
    if position_ids is None:
        raise ValueError(f"{ATTENTION} needs position_ids or a layout")
    rows = rows_of(position_ids)
    if query.is_cuda:
        return _by_kernel(query, key, value, rows, scaling), None
    return row_by_row(query, key, value, rows.lengths, scaling), None


def row_by_row(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    scaling: float | None = None,
) -> torch.Tensor:
    """SDPA on one row after the other; shapes as above."""
    rows = zip(*(x[0].split(list(lengths), dim=1) for x in (query, key, value)), strict=True)
    parts = [causal(q, k, v, scaling, None) for q, k, v in rows]
    return torch.cat(parts, dim=1).transpose(0, 1).contiguous().unsqueeze(0)


def _by_kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    rows: Rows,
    scaling: float | None,
) -> torch.Tensor:
    longest = max(rows.lengths)
    parts = by_token(query[0], key[0], value[0])
    starts = (rows.starts, rows.starts)
    return varlen(*parts, starts, (longest, longest), scaling).unsqueeze(0)


AttentionInterface.register(ATTENTION, packed_causal_attention)
