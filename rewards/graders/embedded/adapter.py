"""Low-rank change of the encoder that the embedded graders were fitted with (LoRA, 2106.09685).

Shipped instead of a whole encoder: every adapted weight W of shape [out, in] becomes
W + scale * B A with A [r, in] and B [r, ...]. Arrays of a file (.npz, no pickles):

    <module>.A     f2  [r, in]
    <module>.B     f2  [out, r]
    scale          f4  []
    encoder_name   str []     the encoder that is changed
    encoder_sha256 str []     its weights file
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError
from rewards.graders.embedded.arrays import (
    content_hash,
    read_arrays,
    require_finite,
    write_arrays,
)

if TYPE_CHECKING:
    import torch

SHIPPED = "adapter.npz"
_FACTS = ("scale", "encoder_name", "encoder_sha256")


class LowRank(NamedTuple):
    """Change of one weight: scale * B A."""

    a: NDArray[np.float16]
    """[r, in]"""
    b: NDArray[np.float16]
    """[out, r]"""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """All changes, by the name of the module whose weight changes."""

    modules: Mapping[str, LowRank]
    scale: float
    encoder_name: str
    encoder_sha256: str
    revision: str
    """sha256 of its arrays."""

    def apply(self, model: torch.nn.Module) -> None:
        """Add the changes to the float32 weights of `model`.

        Raises ConfigError when it lacks a module or a shape differs.
        """
        import torch

        modules = dict(model.named_modules())
        for name, change in self.modules.items():
            weight = getattr(modules.get(name), "weight", None)
            shape = (change.b.shape[0], change.a.shape[1])
            if weight is None or tuple(weight.shape) != shape:
                raise ConfigError(
                    f"the adapter changes {name} of shape {shape}, which the encoder does not have"
                )
            product = change.b.astype(np.float32) @ change.a.astype(np.float32)
            with torch.no_grad():
                weight += torch.from_numpy(product * np.float32(self.scale))


def load_adapter(path: str | None) -> Adapter:
    """The adapter at `path`; None takes the shipped one. Raises ConfigError for an unusable file.

    >>> load_adapter(None).encoder_name
    'sentence-transformers/all-MiniLM-L6-v2'
    """
    arrays, where = read_arrays(path, SHIPPED, "encoder adapter")
    return _from_arrays(arrays, where)


def save_adapter(
    modules: Mapping[str, LowRank], scale: float, encoder_name: str, encoder_sha256: str, path: Path
) -> Adapter:
    """Write `path` in one rename and give back what was written."""
    arrays: dict[str, Any] = {
        "scale": np.float32(scale),
        "encoder_name": np.array(encoder_name),
        "encoder_sha256": np.array(encoder_sha256),
    }
    for name, change in modules.items():
        arrays[f"{name}.A"] = change.a.astype(np.float16)
        arrays[f"{name}.B"] = change.b.astype(np.float16)
    write_arrays(path, arrays)
    return load_adapter(str(path))


def _from_arrays(arrays: Mapping[str, NDArray[Any]], where: str) -> Adapter:
    missing = [name for name in _FACTS if name not in arrays]
    names = sorted({name[:-2] for name in arrays if name.endswith((".A", ".B"))})
    missing += [
        f"{name}.{half}" for name in names for half in "AB" if f"{name}.{half}" not in arrays
    ]
    if missing:
        raise ConfigError(f"{where} lacks {', '.join(missing)}")
    modules = {name: LowRank(arrays[f"{name}.A"], arrays[f"{name}.B"]) for name in names}
    for name, change in modules.items():
        if change.a.ndim != 2 or change.b.ndim != 2 or change.a.shape[0] != change.b.shape[1]:
            raise ConfigError(f"{where}: {name} has shapes that do not multiply")
        require_finite(f"{where}: {name}", change.a, change.b)
    return Adapter(
        modules=modules,
        scale=float(arrays["scale"]),
        encoder_name=str(arrays["encoder_name"]),
        encoder_sha256=str(arrays["encoder_sha256"]),
        revision=content_hash(arrays),
    )
