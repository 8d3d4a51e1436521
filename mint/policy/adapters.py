"""LoRA adapters worked into the weights they were trained beside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rewards.errors import DataError

FOLDER = "lora_adapter"
"""Where verl's merger leaves the adapter, inside the folder of the base model."""
_PREFIX = "base_model.model."


def merge_adapter(model: Path) -> bool:
    """Add model/lora_adapter to the weights of `model` and remove it; whether there was one.

    W becomes W + alpha / r x B A, computed in float32 and kept in W's own precision. A shard is
    replaced whole, so an interrupted merge leaves each file readable but must not be repeated on
    the same folder. Raises DataError for an adapter that does not belong to these weights.
    """
    folder = model / FOLDER
    if not folder.is_dir():
        return False
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    scale = float(config["lora_alpha"]) / float(config["r"])
    if scale <= 0:
        raise DataError(f"{folder}: lora_alpha / r is {scale}: the adapter would be lost")
    pairs = _pairs(load_file(folder / "adapter_model.safetensors"), folder)
    shards = sorted(model.glob("*.safetensors"))
    missing = set(pairs) - {name for shard in shards for name in _names(shard)}
    if missing:
        raise DataError(f"{folder}: no such weight in {model}: {', '.join(sorted(missing)[:3])}")
    for shard in shards:
        _add(shard, pairs, scale)
    shutil.rmtree(folder)
    return True


def _pairs(
    adapter: dict[str, torch.Tensor], folder: Path
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Name of a weight -> its (B, A)."""
    found = {}
    for name, down in adapter.items():
        if not name.endswith(".lora_A.weight"):
            continue
        layer = name.removesuffix(".lora_A.weight")
        if f"{layer}.lora_B.weight" not in adapter:
            raise DataError(f"{folder}: {name} has no lora_B beside it")
        found[f"{layer.removeprefix(_PREFIX)}.weight"] = (adapter[f"{layer}.lora_B.weight"], down)
    if len(found) * 2 != len(adapter):
        raise DataError(f"{folder}: holds more than pairs of lora_A and lora_B")
    return found


def _names(shard: Path) -> list[str]:
    with safe_open(shard, framework="pt") as file:
        return list(file.keys())


def _add(shard: Path, pairs: dict[str, tuple[torch.Tensor, torch.Tensor]], scale: float) -> None:
    own = [name for name in _names(shard) if name in pairs]
    if not own:
        return
    weights = load_file(shard)
    for name in own:
        up, down = pairs[name]
        changed = weights[name].float() + scale * (up.float() @ down.float())
        weights[name] = changed.to(weights[name].dtype).contiguous()
    partial = shard.with_name(f".{shard.name}.tmp")
    save_file(weights, partial, metadata={"format": "pt"})
    partial.replace(shard)
