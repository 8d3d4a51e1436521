"""Fitted linear heads on disk: an .npz without pickles, and next to it a .json metric card.

Arrays of a file (m = members of an ensemble, d = features, o = outputs):

    outputs          str  [o]        tactic or rating names, in order
    coef             f4   [m, o, d]
    intercept        f4   [m, o]
    thresholds       f4   [o]        an output is present from this probability on (tagger only)
    residual         f4   [o]        standard deviation of held-out errors (judge only)
    features         str  []         version of the feature definition
    encoder_name     str  []
    encoder_adapter  str  []         sha256 of the adapter's arrays, or "none"
    encoder_dim      int  []
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError
from rewards.graders.embedded.arrays import (
    content_hash,
    read_arrays,
    require_finite,
    shipped,
    write_arrays,
    write_card,
)
from rewards.protocols import Encoder

_NUMBERS = ("coef", "intercept", "thresholds", "residual")


@dataclass(frozen=True, kw_only=True)
class Heads:
    """One linear head an output, m times: score_mo = coef_mo . x + intercept_mo."""

    outputs: tuple[str, ...]
    coef: NDArray[np.float32]
    """[members, outputs, features]"""
    intercept: NDArray[np.float32]
    """[members, outputs]"""
    thresholds: NDArray[np.float32]
    """[outputs], probabilities in [0, 1]; zeros where heads are not classifiers."""
    residual: NDArray[np.float32]
    """[outputs], standard deviation of held-out errors; zeros where heads are classifiers."""
    features: str
    encoder_name: str
    encoder_adapter: str
    encoder_dim: int
    revision: str = ""
    """sha256 of the arrays, which a card repeats."""

    def scores(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, outputs], mean over members, for features [n, features]."""
        scaled = self._check(x) @ self.coef.mean(axis=0).T
        result: NDArray[np.float32] = scaled + self.intercept.mean(axis=0)
        return result

    def probabilities(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64 [n, outputs] in [0, 1], of heads that are classifiers."""
        result: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-self.scores(x).astype(np.float64)))
        return result

    def spread(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, outputs]: expected error, from the members' disagreement and `residual`."""
        members = np.einsum("nd,mod->mno", self._check(x), self.coef) + self.intercept[:, None]
        result: NDArray[np.float32] = np.sqrt(members.var(axis=0) + self.residual**2)
        return result

    def _check(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        if x.shape[1] != self.coef.shape[2]:
            raise ConfigError(
                f"heads take {self.coef.shape[2]} features, got {x.shape[1]}; fit the weights anew"
            )
        return x


def new_heads(
    encoder: Encoder,
    outputs: Sequence[str],
    features: str,
    coef: NDArray[Any],
    intercept: NDArray[Any],
    *,
    thresholds: NDArray[Any] | None = None,
    residual: NDArray[Any] | None = None,
) -> Heads:
    """Heads fitted on the vectors of `encoder`; `thresholds` or `residual` None are zeros."""
    zeros = np.zeros(len(outputs))
    return Heads(
        outputs=tuple(outputs),
        coef=coef.astype(np.float32),
        intercept=intercept.astype(np.float32),
        thresholds=(zeros if thresholds is None else thresholds).astype(np.float32),
        residual=(zeros if residual is None else residual).astype(np.float32),
        features=features,
        encoder_name=encoder.identity.name,
        encoder_adapter=str(encoder.identity.details["adapter"]),
        encoder_dim=encoder.dim,
    )


def load_heads(
    path: str | None, default: str, outputs: Sequence[str], features: str, encoder: Encoder
) -> Heads:
    """Heads from `path`, or from the shipped file `default`, checked against code and encoder.

    Raises ConfigError when the file is missing or broken, lacks an array, or was fitted for other
    outputs, another output order, other features or another encoder.
    """
    arrays, where = read_arrays(path, default, "grader weights")
    heads = _from_arrays(arrays, where)
    for what, found, needed in (
        ("outputs", heads.outputs, tuple(outputs)),
        ("features", heads.features, features),
        ("encoder", heads.encoder_name, encoder.identity.name),
        ("encoder dimension", heads.encoder_dim, encoder.dim),
        ("encoder adapter", heads.encoder_adapter, encoder.identity.details["adapter"]),
    ):
        if found != needed:
            raise ConfigError(
                f"{where} were fitted for {what} {found}, but {needed} is in use; "
                "choose matching weights or fit them with python -m rewards.fit"
            )
    return heads


def save_heads(heads: Heads, card: Mapping[str, Any], path: Path) -> None:
    """Writes `path` (.npz) and its metric card (.json beside it), each in one rename."""
    arrays = {name: np.array(getattr(heads, name)) for name in _array_names()}
    write_arrays(path, arrays)
    write_card(path, card, arrays)


def shipped_card(name: str) -> dict[str, Any]:
    """The metric card of shipped weights, e.g. `shipped_card("tagger.json")`."""
    card: dict[str, Any] = json.loads(shipped(name))
    return card


def _array_names() -> list[str]:
    return [field.name for field in fields(Heads) if field.name != "revision"]


def _from_arrays(arrays: Mapping[str, NDArray[Any]], where: str) -> Heads:
    missing = [name for name in _array_names() if name not in arrays]
    if missing:
        raise ConfigError(f"{where} lack {', '.join(missing)}")
    heads = Heads(
        outputs=tuple(str(name) for name in arrays["outputs"]),
        **{name: arrays[name] for name in _NUMBERS},
        features=str(arrays["features"]),
        encoder_name=str(arrays["encoder_name"]),
        encoder_adapter=str(arrays["encoder_adapter"]),
        encoder_dim=int(arrays["encoder_dim"]),
        revision=content_hash(arrays),
    )
    count = len(heads.outputs)
    shapes = heads.coef.shape[1:2], heads.intercept.shape[1:], heads.thresholds.shape
    fits = heads.coef.ndim == 3 and heads.coef.shape[0] == heads.intercept.shape[0]
    if not fits or any(shape != (count,) for shape in (*shapes, heads.residual.shape)):
        raise ConfigError(f"{where} have arrays that do not fit {count} outputs")
    require_finite(where, *(arrays[name] for name in _NUMBERS))
    return heads
