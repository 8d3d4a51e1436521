"""Models of a few thousand random weights that answer at once, for tests of what talks to them."""

from __future__ import annotations

from pathlib import Path

import torch

from mint.data.banks import load_banks
from mint.policy.settings import TinySettings
from mint.policy.tiny import make_model
from mint.policy.tokenizer import train_tokenizer
from mint.shell.paths import data_dir


def make_policy(folder: Path, seed: int, context: int = 512) -> Path:
    """A model folder; what it says is drawn from words of the shipped sentences."""
    banks = load_banks(data_dir())
    lines = [line for bank in banks.sentences.values() for line in bank]
    tokenizer = train_tokenizer(lines, 1200, context)
    torch.manual_seed(seed)
    settings = TinySettings(hidden_size=64, num_layers=1, max_length=context)
    make_model(tokenizer, settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
