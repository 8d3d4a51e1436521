"""Which weights a server serves, as one short hash: the `revision` that clients name."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path

from mint.policy.model_files import is_local
from mint.serving.settings import ServerSettings, TaggerServer
from mint.shell.files import sha256_file
from rewards.tactics import TACTIC_NAMES

_FILES = ("*.safetensors", "config.json", "tokenizer*.json", "chat_template.jinja")
_HEX = 12


class Revision:
    """Hashes the weights in the background: it takes a while, and so does the server's start."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._value = ""
        self._thread = threading.Thread(target=self._compute, daemon=True)
        self._thread.start()

    def _compute(self) -> None:
        self._value = weights_revision(self._settings)

    def get(self) -> str:
        """The hash, "" for a hub model: its revision is the hub's."""
        self._thread.join()
        return self._value


def weights_revision(settings: ServerSettings) -> str:
    """12 hex digits over weights, configuration, tokenizer and adapters; "" for a hub model."""
    if not is_local(settings.model):
        return ""
    digest = hashlib.sha256()
    for label, path in _files(settings):
        digest.update(f"{label} {sha256_file(path)}\n".encode())
    return digest.hexdigest()[:_HEX]


def _files(settings: ServerSettings) -> Iterable[tuple[str, Path]]:
    folder = Path(settings.model).expanduser()
    for pattern in _FILES:
        for path in sorted(folder.glob(pattern)):
            yield path.name, path
    if settings.chat_template is not None:
        yield "chat_template", Path(settings.chat_template)
    if isinstance(settings, TaggerServer):
        for name in TACTIC_NAMES:
            own = Path(settings.adapters).expanduser() / name
            for path in sorted([own / "adapter_config.json", *own.glob("*.safetensors")]):
                yield f"{name}/{path.name}", path
