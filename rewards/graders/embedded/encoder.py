"""The encoder behind the embedded graders: replies in, vectors of sentences and replies out.

all-MiniLM-L6-v2 with a fitted low-rank adapter reads a whole reply; `plain` is the same encoder
without it. What was read before costs a look-up.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError, GraderError
from rewards.graders.embedded.adapter import Adapter
from rewards.graders.embedded.cache import ReplyCache
from rewards.graders.embedded.windows import Window, make_windows, plan_batches
from rewards.precision import resolve_dtype, torch_dtype
from rewards.protocols import EncodedReply, SplitReply
from rewards.quiet import quiet_loading
from rewards.types import GraderIdentity

if TYPE_CHECKING:
    import torch

    from rewards.graders.embedded.bert import WordPieces

DTYPES = ("auto", "float32", "bfloat16")
POOLED_VECTORS = 3
"""A pooled reply is mean, maximum over sentences, and [CLS], one after the other."""
_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


class ContextEncoder:
    """The adapted encoder on the CPU, with a bounded cache. Thread-safe."""

    def __init__(
        self,
        path: str | Path,
        *,
        name: str,
        adapter: Adapter | None,
        dtype: str = "auto",
        batch_tokens: int = 2048,
        num_threads: int | None = None,
        cache_size: int = 4000,
    ) -> None:
        """Loads the model in the folder `path`; `adapter` None leaves it as it is.

        `num_threads` sets torch's threads for the whole process; None leaves them alone. Raises
        ConfigError for an unusable folder or setting, or an adapter made for other weights.
        """
        if dtype not in DTYPES:
            raise ConfigError(f"mint.encoder.dtype must be one of {', '.join(DTYPES)}: {dtype!r}")
        if batch_tokens < 1:
            raise ConfigError(f"mint.encoder.batch_tokens must be >= 1, got {batch_tokens}")
        if num_threads is not None and num_threads < 1:
            raise ConfigError(f"mint.encoder.num_threads must be >= 1 or null, got {num_threads}")
        self._cache = ReplyCache(cache_size)
        self._batch_tokens = batch_tokens
        self._lock = threading.Lock()
        revision = weights_hash(Path(path))
        wanted = (name, revision)
        if adapter is not None and (adapter.encoder_name, adapter.encoder_sha256) != wanted:
            raise ConfigError(
                f"the encoder adapter was fitted for {adapter.encoder_name} with weights "
                f"{adapter.encoder_sha256[:12]}, but {name} with {revision[:12]} is in use; "
                "set mint.encoder.path to that model, or fit anew with python -m rewards.fit"
            )
        # Imported here: torch takes a second, and `rewards` is also used without any encoder.
        import torch

        from rewards.graders.embedded.bert import Bert

        chosen = resolve_dtype(dtype)
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        self._make_plain = functools.partial(
            ContextEncoder,
            path,
            name=name,
            adapter=None,
            dtype=dtype,
            batch_tokens=batch_tokens,
            cache_size=cache_size,
        )
        self._plain: ContextEncoder | None = self if adapter is None else None
        self._words, self._model = _load(Path(path))
        if adapter is not None:
            adapter.apply(self._model)
        self._model.to(torch_dtype(chosen))
        if isinstance(self._model, Bert):
            self._model.join()
        self._dim = int(self._model.config.hidden_size)
        self._identity = GraderIdentity(
            kind="encoder",
            name=name,
            revision=revision,
            details={
                "dim": self._dim,
                "dtype": chosen,
                "adapter": adapter.revision if adapter is not None else "none",
            },
        )

    @property
    def identity(self) -> GraderIdentity:
        """Name, sha256 of the weights file, dimension, number format and sha256 of the adapter."""
        return self._identity

    @property
    def dim(self) -> int:
        """Length of a sentence vector."""
        return self._dim

    @property
    def plain(self) -> ContextEncoder:
        """The encoder without the adapter, loaded when it is first asked for."""
        with self._lock:
            if self._plain is None:
                self._plain = self._make_plain()
            return self._plain

    def encode(self, replies: Sequence[SplitReply]) -> list[EncodedReply]:
        """Vectors of each reply, in order; a reply seen before costs a look-up.

        One call at a time computes. A second thread waits and then finds the first one's result
        in the cache. Raises
        GraderError for a reply without a sentence or vectors that are not finite.
        """
        if not all(reply.sentences for reply in replies):
            raise GraderError("a reply without a sentence cannot be encoded")
        with self._lock:
            return self._cache.lookup(replies, self._compute)

    def _compute(self, replies: list[SplitReply]) -> list[EncodedReply]:
        windows = self.windows(replies)
        pools: list[list[_Pool]] = [[] for _ in replies]
        for batch in plan_batches([len(window.tokens) for window in windows], self._batch_tokens):
            chosen = [windows[i] for i in batch]
            for window, hidden in zip(chosen, self._forward(chosen), strict=True):
                pools[window.reply].append(_Pool(window, hidden))
        return [
            _encoded(len(reply.sentences), own) for reply, own in zip(replies, pools, strict=True)
        ]

    def windows(self, replies: Sequence[SplitReply]) -> list[Window]:
        """The token windows of all replies, in order."""
        texts = [text for reply in replies for text in (reply.seeker_turn, *reply.sentences)]
        distinct = list(dict.fromkeys(texts))
        tokens = dict(zip(distinct, self._words.encode(distinct), strict=True))
        unknown = [self._words.unknown]
        windows = []
        for position, reply in enumerate(replies):
            windows += make_windows(
                position,
                tokens[reply.seeker_turn],
                [tokens[text] or unknown for text in reply.sentences],
                cls=self._words.cls,
                sep=self._words.sep,
            )
        return windows

    def _forward(self, windows: Sequence[Window]) -> list[NDArray[np.float32]]:
        import torch

        with torch.inference_mode():
            hidden = self._model(**padded(windows)).last_hidden_state.float().numpy()
        return [hidden[row, : len(window.tokens)] for row, window in enumerate(windows)]


class _Pool:
    """Token vectors of one window, summed by sentence."""

    def __init__(self, window: Window, hidden: NDArray[np.float32]) -> None:
        owners = np.array(window.sentence_of)
        inside = owners >= 0
        # The tokens of a sentence stand together, so sums between its bounds are enough.
        self.sentences, starts = np.unique(owners[inside], return_index=True)
        self.sums = np.add.reduceat(hidden[inside], starts, axis=0)
        self.counts = np.diff([*starts.tolist(), int(inside.sum())])
        self.first = hidden[0]


def _encoded(num_sentences: int, pools: Sequence[_Pool]) -> EncodedReply:
    dim = len(pools[0].first)
    vectors = np.zeros((num_sentences, dim), np.float32)
    for pool in pools:
        vectors[pool.sentences] = pool.sums / pool.counts[:, None]
    total = np.sum([pool.sums.sum(axis=0) for pool in pools], axis=0)
    mean = total / sum(int(pool.counts.sum()) for pool in pools)
    first = np.mean([pool.first for pool in pools], axis=0)
    pooled = np.concatenate([mean, vectors.max(axis=0), first]).astype(np.float32)
    if not (np.isfinite(vectors).all() and np.isfinite(pooled).all()):
        raise GraderError("the encoder returned a vector that is not finite")
    return EncodedReply(vectors, pooled)


def padded(windows: Sequence[Window]) -> dict[str, torch.Tensor]:
    """Keyword arguments of the model for one batch, int64 [windows, longest]."""
    import torch

    shape = (len(windows), max(len(window.tokens) for window in windows))
    tokens, segments, mask = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
    for row, window in enumerate(windows):
        size = len(window.tokens)
        tokens[row, :size] = torch.tensor(window.tokens)
        segments[row, :size] = torch.tensor(window.segments)
        mask[row, :size] = 1
    return {"input_ids": tokens, "token_type_ids": segments, "attention_mask": mask}


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


def _load(folder: Path) -> tuple[WordPieces, Any]:
    """Tokenizer and model, the quick way where the folder allows it. See `load_model`."""
    from rewards.graders.embedded.bert import load_bert, word_pieces

    plain = load_bert(folder)
    if plain is not None:
        return plain
    tokenizer, model = load_model(folder, None)
    return word_pieces(tokenizer), model


def load_model(path: Path, num_threads: int | None) -> tuple[Any, Any]:
    """Tokenizer and float32 transformer of a sentence-transformers folder, without dropout.

    Raises ConfigError when they cannot be loaded.
    """
    # Imported here: these take seconds, and `rewards` is also used without any encoder.
    import torch
    from sentence_transformers import SentenceTransformer

    if num_threads is not None:
        torch.set_num_threads(num_threads)
    try:
        with quiet_loading():
            loaded = SentenceTransformer(
                str(path),
                device="cpu",
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"dtype": torch.float32},
                # Dropout would only slow the fit down: its attention has no fast kernel.
                config_kwargs={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"cannot load an encoder from {path}: {first}") from error
    return loaded.tokenizer, loaded[0].auto_model.eval()
