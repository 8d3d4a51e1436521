"""BERT as the graders need it, loaded from its files with torch and tokenizers alone.

Importing transformers takes several seconds, more than everything else before a first answer. The
weights have the names, and the forward pass the operations, of transformers' BertModel (Devlin et
al. 2018, arXiv 1810.04805): one adapter fits both, and their vectors are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

_PLAIN = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
"""What config.json has to say, or leave to its default."""
_SPECIAL = ("[CLS]", "[SEP]", "[UNK]")


class BertSize(NamedTuple):
    """The keys of config.json that shape the model."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float


class WordPieces(NamedTuple):
    """Texts to token ids."""

    encode: Callable[[Sequence[str]], Sequence[list[int]]]
    """Ids of each text, without special tokens around it and never cut."""
    cls: int
    sep: int
    unknown: int


class Encoded(NamedTuple):
    """Output of the model."""

    last_hidden_state: Tensor
    """[batch, tokens, hidden]"""


class _Linear(nn.Linear):
    def reset_parameters(self) -> None:
        """Draw no random weights: those of a file follow."""


class _Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        """Draw no random weights: those of a file follow."""


class Bert(nn.Module):
    """The encoder without dropout."""

    def __init__(self, size: BertSize) -> None:
        super().__init__()
        self.config = size
        self.embeddings = _Embeddings(size)
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(_Layer(size) for _ in range(size.num_hidden_layers))}
        )
        # Has no part in the vectors of tokens, but an adapter may name it.
        self.pooler = nn.ModuleDict({"dense": _Linear(size.hidden_size, size.hidden_size)})

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Encoded:
        """Token vectors; all three are integers [batch, tokens], 0 in the mask is padding."""
        hidden = self.embeddings(input_ids, token_type_ids)
        # Without padding a faster kernel does the attention, which takes no mask.
        mask = None if attention_mask.all() else attention_mask.bool()[:, None, None, :]
        for layer in self.encoder["layer"]:  # type: ignore[union-attr]
            hidden = layer(hidden, mask)
        return Encoded(hidden)

    def join(self) -> None:
        """Make attention quicker, once the weights are final, in value and number format."""
        for layer in self.encoder["layer"]:  # type: ignore[union-attr]
            layer.join()


class _Embeddings(nn.Module):
    def __init__(self, size: BertSize) -> None:
        super().__init__()
        self.word_embeddings = _Embedding(size.vocab_size, size.hidden_size)
        self.position_embeddings = _Embedding(size.max_position_embeddings, size.hidden_size)
        self.token_type_embeddings = _Embedding(size.type_vocab_size, size.hidden_size)
        self.LayerNorm = nn.LayerNorm(size.hidden_size, size.layer_norm_eps)

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1])[None]
        hidden = self.word_embeddings(tokens) + self.token_type_embeddings(segments)
        normed: Tensor = self.LayerNorm(hidden + self.position_embeddings(places))
        return normed


class _Layer(nn.Module):
    def __init__(self, size: BertSize) -> None:
        super().__init__()
        dim = size.hidden_size
        self.heads = size.num_attention_heads
        linear = {name: _Linear(dim, dim) for name in ("query", "key", "value")}
        self.attention = nn.ModuleDict(
            {"self": nn.ModuleDict(linear), "output": _residual(dim, dim, size.layer_norm_eps)}
        )
        self._joined: tuple[Tensor, Tensor] | None = None
        self.intermediate = nn.ModuleDict({"dense": _Linear(dim, size.intermediate_size)})
        self.output = _residual(size.intermediate_size, dim, size.layer_norm_eps)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self._maps(hidden)
        )
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        hidden = _add(self.attention["output"], seen.transpose(1, 2).flatten(2), hidden)
        wide = functional.gelu(self.intermediate["dense"](hidden))
        return _add(self.output, wide, hidden)

    def join(self) -> None:
        """Make one map of those to query, key and value; weights must not change afterwards."""
        own: Any = self.attention["self"]
        maps = [own[name] for name in ("query", "key", "value")]
        self._joined = (
            torch.cat([one.weight for one in maps]).detach(),
            torch.cat([one.bias for one in maps]).detach(),
        )

    def _maps(self, hidden: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value, each [batch, tokens, hidden]."""
        if self._joined is not None:
            joined: tuple[Tensor, ...] = functional.linear(hidden, *self._joined).chunk(3, dim=-1)
            return joined
        own: Any = self.attention["self"]
        return tuple(own[name](hidden) for name in ("query", "key", "value"))


def _residual(inputs: int, outputs: int, eps: float) -> nn.ModuleDict:
    return nn.ModuleDict(
        {"dense": _Linear(inputs, outputs), "LayerNorm": nn.LayerNorm(outputs, eps)}
    )


def _add(block: Any, inputs: Tensor, hidden: Tensor) -> Tensor:
    added: Tensor = block["LayerNorm"](block["dense"](inputs) + hidden)
    return added


def load_bert(folder: Path) -> tuple[WordPieces, Bert] | None:
    """Tokenizer and float32 model of a folder with an ordinary BERT in safetensors.

    None when it holds anything else, or a file that cannot be read: what that is, and whether it
    can be loaded at all, is for a library to say that knows more forms.
    """
    try:
        size = _size(_json(folder / "config.json"))
        words = _read_word_pieces(folder)
        if size is None or words is None or not _starts_with_transformer(folder):
            return None
        model = Bert(size)
        weights = load_file(folder / "model.safetensors")
        names = model.state_dict().keys()
        chosen = {name: weights[name].float() for name in names}
        model.load_state_dict(chosen, assign=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError):
        return None
    return words, model.eval()


def word_pieces(tokenizer: Any) -> WordPieces:
    """The same of a transformers tokenizer."""

    def encode(texts: Sequence[str]) -> Any:
        return tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]

    ids = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.unk_token_id)
    return WordPieces(encode, *ids)


def _size(config: Mapping[str, Any]) -> BertSize | None:
    differs = any(name in config and config[name] != value for name, value in _PLAIN.items())
    if differs or config.get("is_decoder") or "model_type" not in config:
        return None
    return BertSize(**{name: config[name] for name in BertSize._fields})


def _read_word_pieces(folder: Path) -> WordPieces | None:
    """The tokenizer of tokenizer.json, when tokenizer_config.json does not contradict it."""
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    normalizer = json.loads(text)["normalizer"]
    settings = _json(folder / "tokenizer_config.json")
    lower = settings["do_lower_case"] if "do_lower_case" in settings else True
    if normalizer["type"] != "BertNormalizer" or normalizer["lowercase"] != lower:
        return None
    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = [tokenizer.token_to_id(token) for token in _SPECIAL]
    if None in ids:
        return None

    def encode(texts: Sequence[str]) -> list[list[int]]:
        found = tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    return WordPieces(encode, *ids)


def _starts_with_transformer(folder: Path) -> bool:
    """Whether the folder itself is the transformer; what sentence-transformers does after it, such
    as pooling, is of no concern for vectors of tokens."""
    if not (folder / "modules.json").is_file():
        return True
    first = _json(folder / "modules.json")[0]
    return bool(first["path"] == "" and first["type"].endswith(".Transformer"))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
