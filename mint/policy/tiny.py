"""The tiny policy of the demo: `python -m mint.tiny output=DIR`.

A Qwen3 of about 4.2 M parameters with a tokenizer of its own, warm-started on generated
conversations so that it answers in sentences. Without the warm start every token is about equally
likely, and neither rewards nor probabilities would mean anything. The result is an ordinary Hugging
Face model folder. Scenarios that the demo holds out for validation are not trained on.
"""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from mint.policy.samples import sample_replies, sampling
from mint.policy.settings import TinySettings
from mint.policy.text import dialogues, encode_turns, gather, load_material, texts
from mint.policy.tokenizer import train_tokenizer
from mint.policy.warm_start import mean_loss, train_shown
from mint.shell.files import replacing_folder, write_json
from rewards.precision import resolve_dtype

_TOKENIZER_DIALOGUES = 6000


def build_tiny(
    output_dir: str | Path, settings: TinySettings, *, overwrite: bool = False
) -> dict[str, Any]:
    """Train the policy and write it to `output_dir`; returns the content of its tiny.json.

    The folder appears when everything is in it. Raises ConfigError when it has files already and
    `overwrite` is off, DataError when the text cannot be used.
    """
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(settings.num_threads)
        with replacing_folder(Path(output_dir), overwrite=overwrite) as temporary:
            card = _build(temporary, settings)
    finally:
        torch.set_num_threads(threads)
    return card


def _build(directory: Path, settings: TinySettings) -> dict[str, Any]:
    started = time.perf_counter()
    material = load_material(settings.data, settings.seed)
    # A reply word is at least one token, so this is enough text for both phases.
    pool = gather(material.train, settings.reply_tokens + settings.turn_tokens // 2)
    tokenizer = train_tokenizer(
        texts(pool[:_TOKENIZER_DIALOGUES]), settings.vocab_size, settings.max_length
    )
    phases = [
        encode_turns(tokenizer, pool, settings.reply_tokens, with_prompt=False),
        # From the other end, so that the second phase has other replies than the first.
        encode_turns(tokenizer, pool[::-1], settings.turn_tokens),
    ]
    torch.manual_seed(settings.seed)
    model = make_model(tokenizer, settings)
    result = train_shown(model, phases, settings)
    held_out = dialogues(material.val)
    card = {
        "settings": {f.name: getattr(settings, f.name) for f in fields(TinySettings)},
        "data": material.facts,
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(tokenizer),
        "dtype": resolve_dtype(settings.dtype),
        **{name: round(value, 4) for name, value in result._asdict().items()},
        "val_loss": round(mean_loss(model, encode_turns(tokenizer, held_out), settings), 4),
        "samples": sample_replies(model, tokenizer, held_out, settings.seed),
        "total_seconds": round(time.perf_counter() - started, 1),
    }
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    write_json(directory / "tiny.json", card)
    return card


def make_model(tokenizer: Any, settings: TinySettings) -> Any:
    """An untrained policy for the tokenizer; reads torch's random state."""
    heads = settings.hidden_size // 64
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=3 * settings.hidden_size,
        num_hidden_layers=settings.num_layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        head_dim=64,
        tie_word_embeddings=True,
        attention_bias=False,
        max_position_embeddings=settings.max_length,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = sampling(tokenizer)
    return model
