"""BERTScore (Zhang et al. 2020): likeness of two texts by their contextual token embeddings.

F1 of greedy matching without idf weights and without rescaling: each token of a text is matched
with the most similar token of the other one; [CLS], [SEP] and the like may be matched but do not
count themselves. Needs torch and transformers, and a model on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mint.evaluation.statistics.arrays import Floats
from rewards.errors import ConfigError
from rewards.quiet import quiet_loading

Score = Callable[[Sequence[tuple[str, str]]], Floats]
_BATCH = 16
_LONGEST = 512


def load(model: str, layer: int) -> Score:
    """A function from pairs (candidate, reference) to their F1, each in [-1, 1].

    `model` is a folder with a Hugging Face encoder, `layer` the hidden state that is compared (0
    are the input embeddings). Raises ConfigError when there is no such model or layer.
    """
    if not (Path(model) / "config.json").is_file():
        raise ConfigError(f"bertscore_model={model} is not a folder with config.json")
    from transformers import AutoModel, AutoTokenizer

    with quiet_loading():
        tokenizer = AutoTokenizer.from_pretrained(model)
        encoder = AutoModel.from_pretrained(model).eval()
    layers = encoder.config.num_hidden_layers
    if not 0 <= layer <= layers:
        raise ConfigError(f"bertscore_layer must be from 0 to {layers} for {model}, got {layer}")

    def score(pairs: Sequence[tuple[str, str]]) -> Floats:
        texts = sorted({text for pair in pairs for text in pair}, key=len)
        embedded: dict[str, tuple[Floats, Floats]] = {}
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            found = _embed(tokenizer, encoder, batch, layer)
            embedded.update(zip(batch, found, strict=True))
        return np.array([f1(*embedded[a], *embedded[b]) for a, b in pairs])

    return score


def f1(candidate_TE: Floats, counts_T: Floats, reference_SE: Floats, counts_S: Floats) -> float:
    """F1 of two texts from unit embeddings a token; `counts` is 1 for tokens that count, else 0.

    0 when a text has no token that counts.
    """
    if not counts_T.any() or not counts_S.any():
        return 0.0
    likeness_TS = candidate_TE @ reference_SE.T
    precision = float(likeness_TS.max(axis=1) @ counts_T / counts_T.sum())
    recall = float(likeness_TS.max(axis=0) @ counts_S / counts_S.sum())
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _embed(
    tokenizer: Any, encoder: Any, texts: Sequence[str], layer: int
) -> list[tuple[Floats, Floats]]:
    import torch

    batch = tokenizer(
        list(texts),
        padding=True,
        truncation=True,
        max_length=min(_LONGEST, tokenizer.model_max_length),
        return_special_tokens_mask=True,
        return_tensors="pt",
    )
    special = batch.pop("special_tokens_mask").numpy()
    with torch.inference_mode():
        states = encoder(**batch, output_hidden_states=True).hidden_states[layer]
    units = torch.nn.functional.normalize(states.float(), dim=-1).numpy()
    kept = batch["attention_mask"].numpy().astype(bool)
    return [(units[i][kept[i]], 1.0 - special[i][kept[i]].astype(float)) for i in range(len(texts))]
