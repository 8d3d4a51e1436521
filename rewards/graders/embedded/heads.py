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

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError
from rewards.graders.embedded.files import content_hash, write_atomically
from rewards.protocols import Encoder

_ARRAYS = (
    "outputs",
    "coef",
    "intercept",
    "thresholds",
    "residual",
    "features",
    "encoder_name",
    "encoder_adapter",
    "encoder_dim",
)


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


def load_heads(
    path: str | None, default: str, outputs: Sequence[str], features: str, encoder: Encoder
) -> Heads:
    """Heads from `path`, or from the shipped file `default`, checked against code and encoder.

    Raises ConfigError when the file is missing or broken, lacks an array, or was fitted for other
    outputs, another output order, other features or another encoder.
    """
    where = path or f"shipped weights {default}"
    try:
        data = Path(path).read_bytes() if path else _shipped(default)
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise ConfigError(
            f"no grader weights at {where}; make them with python -m rewards.fit"
        ) from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(f"cannot read grader weights {where}: {error}") from error
    heads = _from_arrays(arrays, where, content_hash(arrays))
    _require_same(where, "outputs", heads.outputs, tuple(outputs))
    _require_same(where, "features", heads.features, features)
    _require_same(where, "encoder", heads.encoder_name, encoder.identity.name)
    _require_same(where, "encoder dimension", heads.encoder_dim, encoder.dim)
    adapter = encoder.identity.details["adapter"]
    _require_same(where, "encoder adapter", heads.encoder_adapter, adapter)
    return heads


def save_heads(heads: Heads, card: Mapping[str, Any], path: Path) -> None:
    """Writes `path` (.npz) and its metric card (.json beside it), each in one rename."""
    arrays = {
        "outputs": np.array(heads.outputs),
        "coef": heads.coef.astype(np.float32),
        "intercept": heads.intercept.astype(np.float32),
        "thresholds": heads.thresholds.astype(np.float32),
        "residual": heads.residual.astype(np.float32),
        "features": np.array(heads.features),
        "encoder_name": np.array(heads.encoder_name),
        "encoder_adapter": np.array(heads.encoder_adapter),
        "encoder_dim": np.array(heads.encoder_dim),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    full_card = {**card, "sha256": content_hash(arrays)}
    write_atomically(path, buffer.getvalue())
    write_atomically(
        path.with_suffix(".json"),
        (json.dumps(full_card, indent=1, allow_nan=False) + "\n").encode(),
    )


def shipped_card(name: str) -> dict[str, Any]:
    """The metric card of shipped weights, e.g. `shipped_card("tagger.json")`."""
    card: dict[str, Any] = json.loads(_shipped(name))
    return card


def _shipped(name: str) -> bytes:
    return (resources.files("rewards.graders") / "weights" / name).read_bytes()


def _from_arrays(arrays: Mapping[str, NDArray[Any]], where: str, revision: str) -> Heads:
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise ConfigError(f"grader weights {where} lack {', '.join(missing)}")
    heads = Heads(
        outputs=tuple(str(name) for name in arrays["outputs"]),
        coef=arrays["coef"],
        intercept=arrays["intercept"],
        thresholds=arrays["thresholds"],
        residual=arrays["residual"],
        features=str(arrays["features"]),
        encoder_name=str(arrays["encoder_name"]),
        encoder_adapter=str(arrays["encoder_adapter"]),
        encoder_dim=int(arrays["encoder_dim"]),
        revision=revision,
    )
    count = len(heads.outputs)
    shapes = heads.coef.shape[1:2], heads.intercept.shape[1:], heads.thresholds.shape
    fits = heads.coef.ndim == 3 and heads.coef.shape[0] == heads.intercept.shape[0]
    if not fits or any(shape != (count,) for shape in (*shapes, heads.residual.shape)):
        raise ConfigError(f"grader weights {where} have arrays that do not fit {count} outputs")
    numbers = heads.coef, heads.intercept, heads.thresholds, heads.residual
    if not all(np.isfinite(array).all() for array in numbers):
        raise ConfigError(f"grader weights {where} hold numbers that are not finite")
    return heads


def _require_same(where: str, what: str, found: object, needed: object) -> None:
    if found != needed:
        raise ConfigError(
            f"grader weights {where} were fitted for {what} {found}, but {needed} is in use; "
            "choose matching weights or fit them with python -m rewards.fit"
        )
