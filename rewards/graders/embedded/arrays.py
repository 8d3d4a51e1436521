"""Fitted files: arrays without pickles, written whole or not at all, known by what they hold."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError

Arrays = Mapping[str, NDArray[Any]]


def content_hash(arrays: Arrays) -> str:
    """sha256 (hex) over names, types, shapes and values, whatever the file's time stamps."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def shipped(name: str) -> bytes:
    """A file of the weights that ship with this package."""
    return (resources.files("rewards.graders") / "weights" / name).read_bytes()


def read_arrays(path: str | None, default: str, what: str) -> tuple[dict[str, NDArray[Any]], str]:
    """Arrays of `path`, or of the shipped file `default`, and what to call that place in errors.

    Raises ConfigError, which begins with `what` it should have been, for an unusable file.
    """
    where = f"{what} {path or f'shipped weights {default}'}"
    try:
        data = Path(path).read_bytes() if path else shipped(default)
        if not zipfile.is_zipfile(io.BytesIO(data)):
            raise ConfigError(f"cannot read {where}: it is no .npz file, or only part of one")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}, where
    except FileNotFoundError as error:
        place = where.removeprefix(f"{what} ")
        raise ConfigError(f"no {what} at {place}; make them with python -m rewards.fit") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(f"cannot read {where}: {error}") from error


def require_finite(where: str, *arrays: NDArray[Any]) -> None:
    """Raises ConfigError when a number is not finite."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise ConfigError(f"{where} has numbers that are not finite")


def write_arrays(path: Path, arrays: Arrays) -> None:
    """An uncompressed .npz in one rename; folders are made."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def write_card(path: Path, card: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Write the metric card beside the arrays' file `path`, and return it with their hash."""
    full_card = {**card, "sha256": content_hash(arrays)}
    text = json.dumps(full_card, indent=1, allow_nan=False) + "\n"
    write_atomically(path.with_suffix(".json"), text.encode())
    return full_card


def write_atomically(path: Path, data: bytes) -> None:
    """`data` as the file `path`, readable by all, in one rename; folders are made."""
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
