"""Sentence encoders: texts in, unit vectors out. The embedded tagger and judge share one."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError, GraderError
from rewards.quiet import quiet_loading
from rewards.types import GraderIdentity

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DTYPES = ("float32", "bfloat16")
_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


class VectorCache:
    """Least-recently-used store of text -> vector, at most `size` entries. Not thread-safe."""

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ConfigError(f"cache_size must be >= 0 vectors, got {size}")
        self._size = size
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._vectors)

    def lookup(
        self, texts: Sequence[str], compute: Callable[[list[str]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """float32 [len(texts), dim]; `compute` is called once with the distinct unknown texts."""
        known = {text: self._vectors[text] for text in texts if text in self._vectors}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            # Copies, because one cached row of the result would keep the whole array alive.
            rows = (row.copy() for row in compute(new))
            known.update(zip(new, rows, strict=True))
        self._vectors.update(known)
        for text in known:
            self._vectors.move_to_end(text)
        while len(self._vectors) > self._size:
            self._vectors.popitem(last=False)
        return np.stack([known[text] for text in texts])


class SentenceEncoder:
    """A sentence-transformers model on one device, with a bounded cache. Thread-safe."""

    def __init__(
        self,
        path: str | Path,
        *,
        name: str,
        dtype: str = "float32",
        batch_size: int = 64,
        num_threads: int | None = None,
        cache_size: int = 20_000,
    ) -> None:
        """Loads the model from the folder `path`, on the CPU.

        `num_threads` sets torch's threads for the whole process; None leaves them alone. Raises
        ConfigError for an unusable folder or setting.
        """
        if dtype not in DTYPES:
            raise ConfigError(f"encoder dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        if batch_size < 1:
            raise ConfigError(f"encoder batch_size must be >= 1 text, got {batch_size}")
        if num_threads is not None and num_threads < 1:
            raise ConfigError(f"encoder num_threads must be >= 1 or null, got {num_threads}")
        self._cache = VectorCache(cache_size)
        self._batch_size = batch_size
        self._lock = threading.Lock()
        revision = weights_hash(Path(path))
        self._model = _load_model(Path(path), dtype, num_threads)
        dim = self._model.get_embedding_dimension()
        if dim is None:
            raise ConfigError(f"encoder {path} does not state the size of its vectors")
        self._dim = dim
        self._identity = GraderIdentity(
            kind="encoder", name=name, revision=revision, details={"dim": dim, "dtype": dtype}
        )

    @property
    def identity(self) -> GraderIdentity:
        """Name, sha256 of the weights file, dimension and number format."""
        return self._identity

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [len(texts), dim], rows of length 1; a text seen before costs a look-up.

        One call at a time computes. A second thread waits and then finds the first one's vectors
        in the cache, which is how tagger and judge share one pass over the same sentences.
        """
        if not texts:
            return np.zeros((0, self._dim), np.float32)
        with self._lock:
            return self._cache.lookup(texts, self._compute)

    def _compute(self, texts: list[str]) -> NDArray[np.float32]:
        # The library sorts by length before it forms batches, so there is little padding.
        vectors = self._model.encode(
            texts, batch_size=self._batch_size, convert_to_numpy=True, show_progress_bar=False
        )
        return unit_rows(np.asarray(vectors, np.float32))


class HashingEncoder:
    """Bag of hashed words as unit vectors: deterministic, needs no model; for tests."""

    def __init__(self, dim: int = 64, name: str = "hashing") -> None:
        self._dim = dim
        self._identity = GraderIdentity(
            kind="encoder", name=name, revision="1", details={"dim": dim, "dtype": "float32"}
        )

    @property
    def identity(self) -> GraderIdentity:
        """Equal for equal name and dimension."""
        return self._identity

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [len(texts), dim], rows of length 1."""
        vectors = np.zeros((len(texts), self._dim), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split() or [""]:
                digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
                number = int.from_bytes(digest, "big")
                row[number % self._dim] += 1.0 if number >> 63 else -1.0
            if not row.any():
                row[0] = 1.0
        return unit_rows(vectors)


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows scaled to length 1. Raises GraderError when one is not finite or has length 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise GraderError("the encoder returned a vector that is zero or not finite")
    scaled: NDArray[np.float32] = (vectors / lengths).astype(np.float32)
    return scaled


def weights_hash(folder: Path) -> str:
    """sha256 (hex) over the model's weights file. Raises ConfigError when `folder` has none."""
    for filename in _WEIGHT_FILES:
        file = folder / filename
        if file.is_file():
            with file.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
    raise ConfigError(
        f"no sentence-transformers model in {folder}: it has none of {', '.join(_WEIGHT_FILES)}; "
        "set the encoder's path to a model folder"
    )


def _load_model(path: Path, dtype: str, num_threads: int | None) -> SentenceTransformer:
    # Imported here: these take seconds, and `rewards` is also used without any encoder.
    import torch
    from sentence_transformers import SentenceTransformer

    if num_threads is not None:
        torch.set_num_threads(num_threads)
    try:
        with quiet_loading():
            return SentenceTransformer(
                str(path),
                device="cpu",
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"dtype": getattr(torch, dtype)},
            )
    except (OSError, ValueError, KeyError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"cannot load an encoder from {path}: {first}") from error
