"""Where models come from: installed packages that carry one, and the model hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rewards.errors import ConfigError


def package_folder(name: str) -> Path | None:
    """Folder of an installed package, which is not imported; None when it is not installed."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def download_encoder(name: str, otherwise: str) -> Path:
    """Folder of a sentence-transformers model of the hub.

    Raises ConfigError, which says what to do `otherwise`, when it cannot be had.
    """
    from huggingface_hub import snapshot_download

    try:
        # The safetensors weights and the texts: not the copies for other frameworks.
        patterns = ["*.json", "*.txt", "*.model", "*.safetensors"]
        return Path(snapshot_download(name, allow_patterns=patterns, ignore_patterns=["onnx/*"]))
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"cannot get encoder {name!r} from the model hub ({first}); {otherwise}"
        ) from error
