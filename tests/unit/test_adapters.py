"""A LoRA adapter is in the exported weights, or the export fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mint.policy.adapters import merge_adapter
from rewards.errors import DataError

pytestmark = pytest.mark.slow

Q, UP = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two shards and an adapter of rank 2 as verl's merger writes them."""
    torch.manual_seed(0)
    save_file({f"{Q}.weight": torch.randn(6, 4)}, tmp_path / "model-1.safetensors")
    other = {f"{UP}.weight": torch.randn(8, 4).bfloat16(), "norm.weight": torch.ones(4)}
    save_file(other, tmp_path / "model-2.safetensors")
    folder = tmp_path / "lora_adapter"
    folder.mkdir()
    adapter = {}
    for name, rows in ((Q, 6), (UP, 8)):
        adapter[f"base_model.model.{name}.lora_A.weight"] = torch.randn(2, 4)
        adapter[f"base_model.model.{name}.lora_B.weight"] = torch.randn(rows, 2)
    save_file(adapter, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4}))
    return tmp_path


def weights(model: Path) -> dict[str, torch.Tensor]:
    return {k: v for shard in model.glob("*.safetensors") for k, v in load_file(shard).items()}


def test_the_adapter_is_added_to_its_weights(model: Path) -> None:
    before = {
        **load_file(model / "model-1.safetensors"),
        **load_file(model / "model-2.safetensors"),
    }
    adapter = load_file(model / "lora_adapter" / "adapter_model.safetensors")
    assert merge_adapter(model)
    after = weights(model)
    for name in (Q, UP):
        up, down = (adapter[f"base_model.model.{name}.lora_{part}.weight"] for part in "BA")
        wanted = before[f"{name}.weight"].float() + 2 * up @ down
        assert after[f"{name}.weight"].dtype == before[f"{name}.weight"].dtype
        torch.testing.assert_close(after[f"{name}.weight"].float(), wanted, rtol=0.01, atol=0.01)
    assert torch.equal(after["norm.weight"], before["norm.weight"])
    assert not (model / "lora_adapter").exists()
    assert not merge_adapter(model)


def test_an_adapter_of_another_model_is_refused(model: Path) -> None:
    (model / "model-2.safetensors").unlink()
    with pytest.raises(DataError, match=r"no such weight in .*up_proj"):
        merge_adapter(model)
    assert (model / "lora_adapter").exists()


def test_an_adapter_without_scale_is_refused(model: Path) -> None:
    (model / "lora_adapter" / "adapter_config.json").write_text('{"r": 2, "lora_alpha": 0}')
    with pytest.raises(DataError, match="the adapter would be lost"):
        merge_adapter(model)
