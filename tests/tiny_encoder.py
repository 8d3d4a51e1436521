"""A BERT of a few thousand parameters in a folder, for tests of what is built on an encoder."""

from __future__ import annotations

import string
from pathlib import Path

NAME = "tiny-encoder"
_WORDS = (
    "i you it is are the a to your that what how could try walk number feelings valid friend "
    "happened on day tired of job hear rest alone not sorry sounds hard strong ? . ! ,"
)


def write_tiny_encoder(folder: Path, seed: int = 0) -> Path:
    """A folder that `rewards.graders.encoder.load_model` can load; random weights."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    pieces = [*string.ascii_lowercase, *string.digits]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(_WORDS.split())]
    vocabulary += [p for p in pieces if p not in vocabulary] + [f"##{p}" for p in pieces]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(str(folder))
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    BertModel(config).save_pretrained(str(folder))
    return folder
