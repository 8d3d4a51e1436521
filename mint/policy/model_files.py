"""What can be known about a model from its files, without loading it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from rewards.errors import ConfigError


class ModelFacts(NamedTuple):
    """Sizes of a model; zeros and "" where its files are not here."""

    num_parameters: int
    largest_tensor: str
    largest_tensor_elements: int
    vocab_size: int


_UNKNOWN = ModelFacts(0, "", 0, 0)
_ENDS = 1024 * 1024
"""Bytes of a file of weights that are looked at, at either end."""


def is_local(path: str) -> bool:
    """Whether a model path means a folder rather than a hub name ("organisation/name")."""
    return (
        Path(path).expanduser().exists()
        or path.startswith(("/", ".", "~"))
        or (path.count("/") != 1 or path.split("/")[0] in ("outputs", "models", "checkpoints"))
    )


def model_folder(key: str, path: str) -> Path | None:
    """The folder that a model path names, None for a hub name.

    Raises ConfigError, which names the setting `key`, when there is no such folder or model.
    """
    if not is_local(path):
        return None
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"{key}={path} does not exist; give a Hugging Face model folder or a hub name such as "
            "Qwen/Qwen3-4B"
        )
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{key}={path} holds no config.json")
    return folder


def model_facts(path: str) -> ModelFacts:
    """Facts of a local model folder, or of a hub model in the local cache."""
    folder = local_files(path)
    if folder is None:
        return _UNKNOWN
    shapes: dict[str, list[int]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        shapes |= _shapes(file)
    config = model_config(path) or {}
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    largest = max(sizes, key=lambda name: sizes[name], default="")
    return ModelFacts(
        sum(sizes.values()), largest, sizes[largest] if largest else 0, int(config["vocab_size"])
    )


def model_config(path: str) -> dict[str, Any] | None:
    """The content of a model's config.json; None where it is not here."""
    folder = local_files(path)
    if folder is None:
        return None
    content: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return content


def stored_dtype(path: str) -> str | None:
    """The precision that a model's weights are kept in, as its config.json says; None where it is
    not here or does not say."""
    config = model_config(path) or {}
    return next((config[key] for key in ("dtype", "torch_dtype") if config.get(key)), None)


def model_fingerprint(path: str) -> str | None:
    """What tells the weights of a model from others: the commit of a hub model in the local cache,
    else a SHA-256 of the configuration and of both ends of every file of weights, which takes no
    time for large ones. None where the files are not here."""
    if not is_local(path):
        cached = _cached(path)
        return None if cached is None else cached.name
    folder = Path(path).expanduser()
    digest = hashlib.sha256()
    for file in [folder / "config.json", *sorted(folder.glob("*.safetensors"))]:
        if not file.is_file():
            return None
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(_ENDS))
            opened.seek(max(0, size - _ENDS))
            digest.update(opened.read(_ENDS))
    return digest.hexdigest()


def local_files(path: str) -> Path | None:
    """The folder with a model's config.json, a hub model's in the local cache; None without."""
    folder = Path(path).expanduser() if is_local(path) else _cached(path)
    return folder if folder is not None and (folder / "config.json").is_file() else None


def _shapes(file: Path) -> dict[str, list[int]]:
    """Tensor name -> shape from the header of a safetensors file."""
    try:
        with safe_open(file, framework="numpy") as tensors:
            names = tensors.keys()
            return {name: tensors.get_slice(name).get_shape() for name in names}
    except SafetensorError as error:
        raise ConfigError(f"{file} is not a safetensors file") from error


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
