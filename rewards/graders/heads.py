"""Fitted linear heads on disk: an .npz without pickles, and next to it a .json metric card.

Arrays of a file (d = features, o = outputs):

    outputs       str  [o]     tactic or rating names, in order
    coef          f4   [o, d]
    intercept     f4   [o]
    thresholds    f4   [o]     an output is present from this probability on (tagger only)
    features      str  []      version of the feature definition in `rewards.graders.features`
    encoder_name  str  []
    encoder_dim   int  []
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError
from rewards.protocols import Encoder

_ARRAYS = ("outputs", "coef", "intercept", "thresholds", "features", "encoder_name", "encoder_dim")


@dataclass(frozen=True, kw_only=True)
class Heads:
    """One linear head an output: score_o = coef_o . x + intercept_o."""

    outputs: tuple[str, ...]
    coef: NDArray[np.float32]
    """[outputs, features]"""
    intercept: NDArray[np.float32]
    """[outputs]"""
    thresholds: NDArray[np.float32]
    """[outputs], probabilities in [0, 1]; zeros where heads are not classifiers."""
    features: str
    encoder_name: str
    encoder_dim: int
    revision: str = ""
    """sha256 of the file the heads were read from."""

    def scores(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, outputs] for features [n, features]."""
        if x.shape[1] != self.coef.shape[1]:
            raise ConfigError(
                f"heads take {self.coef.shape[1]} features, got {x.shape[1]}; fit the weights anew"
            )
        result: NDArray[np.float32] = x @ self.coef.T + self.intercept
        return result


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
    heads = _from_arrays(arrays, where, hashlib.sha256(data).hexdigest())
    _require_same(where, "outputs", heads.outputs, tuple(outputs))
    _require_same(where, "features", heads.features, features)
    _require_same(where, "encoder", heads.encoder_name, encoder.identity.name)
    _require_same(where, "encoder dimension", heads.encoder_dim, encoder.dim)
    return heads


def save_heads(heads: Heads, card: Mapping[str, Any], path: Path) -> None:
    """Writes `path` (.npz) and its metric card (.json beside it), each in one rename."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        outputs=np.array(heads.outputs),
        coef=heads.coef.astype(np.float32),
        intercept=heads.intercept.astype(np.float32),
        thresholds=heads.thresholds.astype(np.float32),
        features=np.array(heads.features),
        encoder_name=np.array(heads.encoder_name),
        encoder_dim=np.array(heads.encoder_dim),
    )
    data = buffer.getvalue()
    full_card = {**card, "sha256": hashlib.sha256(data).hexdigest()}
    _write(path, data)
    _write(
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
        features=str(arrays["features"]),
        encoder_name=str(arrays["encoder_name"]),
        encoder_dim=int(arrays["encoder_dim"]),
        revision=revision,
    )
    count = len(heads.outputs)
    shapes = heads.coef.shape[:1], heads.intercept.shape, heads.thresholds.shape
    if heads.coef.ndim != 2 or any(shape != (count,) for shape in shapes):
        raise ConfigError(f"grader weights {where} have arrays that do not fit {count} outputs")
    if not all(np.isfinite(a).all() for a in (heads.coef, heads.intercept, heads.thresholds)):
        raise ConfigError(f"grader weights {where} hold numbers that are not finite")
    return heads


def _require_same(where: str, what: str, found: object, needed: object) -> None:
    if found != needed:
        raise ConfigError(
            f"grader weights {where} were fitted for {what} {found}, but {needed} is in use; "
            "choose matching weights or fit them with python -m rewards.fit"
        )


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
