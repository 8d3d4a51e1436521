"""Which numbers a processor computes in fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DTYPE_BYTES = {
    **dict.fromkeys(("fp32", "float32", "float"), 4),
    **dict.fromkeys(("bf16", "bfloat16", "fp16", "float16", "half"), 2),
}
"""Bytes of a number by the names that models and settings use."""


def resolve_dtype(dtype: str) -> str:
    """The name itself; for "auto" bfloat16 where the processor computes in it natively, which is
    about 1.5 times as fast as float32, else float32: emulated it takes twice as long.
    """
    if dtype != "auto":
        return dtype
    import torch

    capabilities = torch.cpu.get_capabilities()
    native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bfloat16" if native else "float32"


def torch_dtype(dtype: str) -> torch.dtype:
    """The same as torch calls it.

    >>> torch_dtype("float32")
    torch.float32
    """
    import torch

    named: torch.dtype = getattr(torch, resolve_dtype(dtype))
    return named
