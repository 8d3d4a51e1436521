"""SmolLM2-135M-Instruct as a policy: `python -m mint.policy smol output=DIR`.

The GGUF file of an installed package becomes a Hugging Face folder (`mint.policy.gguf`). A pass
over authored conversations then teaches the model to answer in a few sentences, to stay with what
was said and to end its message: as it comes, it goes on until it is cut off. What it learns is
about scenarios that the demo trains on; none of those that it holds out is among them.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mint.policy.gguf import convert, packaged_file
from mint.policy.samples import sample_replies, sampling
from mint.policy.settings import SmolSettings
from mint.policy.text import dialogues, encode_turns, gather, load_material
from mint.policy.warm_start import train_shown
from mint.shell.files import replacing_folder, write_json
from mint.shell.paths import data_dir
from rewards.precision import resolve_dtype
from rewards.quiet import quiet_loading

CARD = "smol.json"
CONVERSATIONS = "warm_start/conversations.json"
"""Below the data folder: what the model learns unless told otherwise."""
TEMPERATURE = 0.7
"""Of sampling, unless a caller says otherwise: at 1 so small a model draws too many odd words."""
_MOST_WORDS = 20_000
"""Words of replies learnt at most: text that is generated never ends."""


def build_smol(
    output_dir: str | Path, settings: SmolSettings, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write the policy to `output_dir`; returns the content of its smol.json.

    The folder appears when everything is in it. Raises ConfigError when a package is missing, its
    file is another one or the folder has files already and `overwrite` is off; DataError when the
    conversations cannot be used.
    """
    threads = torch.get_num_threads()
    file = packaged_file()
    try:
        torch.set_num_threads(settings.num_threads)
        with replacing_folder(Path(output_dir), overwrite=overwrite) as temporary:
            converted = convert(file, temporary)
            return _teach(temporary, converted, settings)
    finally:
        torch.set_num_threads(threads)


def _teach(folder: Path, converted: dict[str, Any], settings: SmolSettings) -> dict[str, Any]:
    """Train the model in `folder` and write it there again, with its card."""
    started = time.perf_counter()
    material = load_material(settings.data or str(data_dir() / CONVERSATIONS), settings.seed)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    with quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True
        )
    torch.manual_seed(settings.seed)
    learnt = encode_turns(tokenizer, gather(material.train, _MOST_WORDS))
    result = train_shown(model, [learnt] * settings.passes, settings) if settings.passes else None
    model.generation_config = sampling(tokenizer, TEMPERATURE)
    card = {
        "settings": asdict(settings),
        "model": converted,
        "data": {**material.facts, "replies": len(learnt)},
        "dtype": resolve_dtype(settings.dtype),
        "training": None if result is None else result._asdict(),
        "samples": sample_replies(model, tokenizer, dialogues(material.val), settings.seed),
        "total_seconds": round(time.perf_counter() - started, 1),
    }
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / CARD, card)
    return card
