"""Attention over a layout of shared prompts (`mint.verl.shared_layout`).

On a GPU one call of `torch.nn.attention.varlen.varlen_attn` a layer: the queries are a prompt or a
reply, the keys are gathered as prompt and reply, and causal masks are aligned at the last key. On a
CPU group by group: the prompt by SDPA, the replies by one product with the prompt's keys and one
with their own, under one softmax in float32. Where replies are longer than their prompt, or a
sliding window is shorter than they are, SDPA on one row after the other.

Shapes: T tokens, Hq heads of queries and Hk of keys (Hq a multiple of Hk), D numbers a head; in a
group S reply tokens, P of the prompt, n replies of at most L tokens.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention, softmax

from mint.verl.shared_layout import Group, Layout, Pieces

_MOST_SCORES = 2**22
"""Numbers of a group's attention that a CPU keeps for the backward pass of a layer."""


def shared_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layout: Layout,
    scaling: float,
    window: int | None = None,
) -> torch.Tensor:
    """[Hq, T, D] queries, [Hk, T, D] keys and values -> [T, Hq, D]. `window`: keys seen at most."""
    if query.is_cuda:
        return by_kernel(query, key, value, layout.pieces, scaling, window)
    parts = []
    for group in layout.groups:
        stretch = slice(group.start, group.start + group.length)
        q, k, v = (x[:, stretch] for x in (query, key, value))
        by_products = _is_short(group, len(query), window)
        attend = _by_products if by_products else _row_by_row
        parts.append(attend(q, k, v, group, scaling, window))
    return torch.cat(parts, dim=1).transpose(0, 1).contiguous()


def by_kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    pieces: Pieces,
    scaling: float | None,
    window: int | None = None,
) -> torch.Tensor:
    """Shapes as above; on a GPU."""
    q, k, v = by_token(query, key, value)
    keys, values = (_Gather.apply(x, pieces.keys_K) for x in (k, v))
    starts, longest = (pieces.starts_q, pieces.starts_k), (pieces.longest_q, pieces.longest_k)
    return varlen(q, keys, values, starts, longest, scaling, window)


def by_token(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[H, T, D] each -> [T, H, D] in the values' type, as the kernel takes them."""
    q, k, v = (x.transpose(0, 1).to(value.dtype).contiguous() for x in (query, key, value))
    return q, k, v


def varlen(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    starts: tuple[torch.Tensor, torch.Tensor],
    longest: tuple[int, int],
    scaling: float | None,
    window: int | None = None,
) -> torch.Tensor:
    """torch's kernel: causal, aligned at the last key; `starts` and `longest` of queries, keys."""
    from torch.nn.attention.varlen import varlen_attn

    # torch 2.11 takes fewer heads of keys as they are, later ones want to be told.
    grouped = "enable_gqa" in inspect.signature(varlen_attn).parameters
    return varlen_attn(  # type: ignore[no-any-return]
        q,
        k,
        v,
        *starts,
        *longest,
        scale=scaling,
        # Keys to the left and to the right: a window of w keys has the query's own among them.
        window_size=(-1 if window is None else window - 1, 0),
        **({"enable_gqa": True} if grouped else {}),
    )


class _Gather(torch.autograd.Function):
    """Rows of [T, H, D] by index. The gradients of a prompt come from all its replies: they are
    summed in float32."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, index_K: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(index_K)
        ctx.rows = x.shape[0]
        return x.index_select(0, index_K)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        (index_K,) = ctx.saved_tensors
        total = grad.new_zeros((ctx.rows, *grad.shape[1:]), dtype=torch.float32)
        return total.index_add_(0, index_K, grad.float()).to(grad.dtype), None


def _is_short(group: Group, heads: int, window: int | None) -> bool:
    """Whether products over the whole group are less work than its rows one by one."""
    if len(group.replies) < 2:
        return False
    longest = max(group.replies)
    seen = group.prompt + longest
    scores = heads * sum(group.replies) * seen
    return longest <= group.prompt and scores <= _MOST_SCORES and (window is None or seen <= window)


def _row_by_row(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    group: Group,
    scaling: float,
    window: int | None,
) -> torch.Tensor:
    """SDPA on the prompt with each reply, as if it were a row of its own; [Hq, P + S, D]."""
    prompt = group.prompt
    at = prompt + sum(group.replies[:1])
    parts = [causal(q[:, :at], k[:, :at], v[:, :at], scaling, window)]
    for length in group.replies[1:]:
        own = slice(at, at + length)
        q_row, k_row, v_row = (torch.cat([x[:, :prompt], x[:, own]], dim=1) for x in (q, k, v))
        parts.append(causal(q_row, k_row, v_row, scaling, window)[:, prompt:])
        at += length
    return torch.cat(parts, dim=1)


def causal(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scaling: float | None, window: int | None
) -> torch.Tensor:
    """SDPA on one row: [Hq, L, D] and [Hk, L, D] -> [Hq, L, D]."""
    length, mask = q.shape[1], None
    if window is not None and length > window:
        mask = q.new_ones(length, length, dtype=torch.bool).tril().triu(1 - window)
    return scaled_dot_product_attention(
        q[None], k[None], v[None], mask, is_causal=mask is None, scale=scaling, enable_gqa=True
    )[0]


def _by_products(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    group: Group,
    scaling: float,
    window: int | None,
) -> torch.Tensor:
    """The prompt by itself, then all replies at once; [Hq, P + S, D]."""
    P, n, L = group.prompt, len(group.replies), max(group.replies)
    Hk, S, D = k.shape[0], sum(group.replies), q.shape[2]
    prompt = causal(q[:, :P], k[:, :P], v[:, :P], scaling, window)
    # Place of every reply token where each reply has room for L.
    slots_S = torch.cat([r * L + torch.arange(m) for r, m in enumerate(group.replies)])
    q_S = (q[:, P:] * scaling).reshape(Hk, -1, S, D)
    heads = q_S.shape[1]

    def padded(x: torch.Tensor) -> torch.Tensor:
        """[..., S, *] -> [..., n * L, *], zeros in the gaps."""
        room = x.new_zeros(*x.shape[:-2], n * L, x.shape[-1])
        return room.index_copy(-2, slots_S, x)

    shared = torch.matmul(q_S.reshape(Hk, heads * S, D), k[:, :P].transpose(1, 2))
    k_own, v_own = (padded(x[:, P:]).reshape(Hk * n, L, D) for x in (k, v))
    q_own = padded(q_S).reshape(Hk, heads, n, L, D).transpose(1, 2).reshape(Hk * n, heads * L, D)
    own = torch.bmm(q_own, k_own.transpose(1, 2)).reshape(Hk, n, heads, L, L).transpose(1, 2)
    own = own.reshape(Hk, heads, n * L, L).index_select(2, slots_S)
    later = torch.arange(L) > (slots_S % L)[:, None]
    own = own.masked_fill(later, float("-inf"))
    both = torch.cat([shared.reshape(Hk, heads, S, P), own], dim=-1)
    weights = softmax(both, dim=-1, dtype=torch.float32).to(v.dtype)
    from_prompt = torch.matmul(weights[..., :P].reshape(Hk, heads * S, P), v[:, :P])
    w_own = padded(weights[..., P:]).reshape(Hk, heads, n, L, L).transpose(1, 2)
    from_own = torch.bmm(w_own.reshape(Hk * n, heads * L, L), v_own)
    from_own = from_own.reshape(Hk, n, heads, L, D).transpose(1, 2).reshape(Hk, heads, n * L, D)
    out = from_prompt.reshape(Hk, heads, S, D) + from_own.index_select(2, slots_S)
    return torch.cat([prompt, out.reshape(Hk * heads, S, D)], dim=1)
