"""Hardware layers: found, named, composed on top of the recipe wherever they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import DictConfig

from mint.config import compose, recipes
from rewards.errors import ConfigError

NAMES = {"h100_1", "h200_1", "gpus_8", "nodes_2x8", "lora"}


def composed(*overrides: str) -> DictConfig:
    recipes.register(recipes.find_recipes())
    return compose.compose_config(overrides)


def test_layers_are_listed_apart_from_recipes(root: Path) -> None:
    found = recipes.find_recipes()
    layers = {r.name: r for r in found.values() if r.group == recipes.HARDWARE}
    assert set(layers) == NAMES
    text = recipes.listing(found)
    page = (root / "recipes/README.md").read_text(encoding="utf-8")
    for name, recipe in layers.items():
        assert recipe.summary in text
        assert f"| `{name}` |" in page
        assert len(recipe.path.read_text(encoding="utf-8").splitlines()) < 30
    with pytest.raises(ConfigError, match="there is no recipe 'h100_1'"):
        recipes.check_name("h100_1", found)


@pytest.mark.slow
def test_a_layer_goes_on_top_of_the_recipe_wherever_it_stands() -> None:
    after = composed("+recipe=mint_4b", "+hardware=h200_1")
    before = composed("+hardware=h200_1", "+recipe=mint_4b")
    assert after == before
    fsdp = after.actor_rollout_ref.actor.fsdp_config
    assert (fsdp.param_offload, fsdp.optimizer_offload) == (False, False)
    typed = composed("+hardware=h200_1", "+recipe=mint_4b", f"{_FSDP}.param_offload=true")
    assert typed.actor_rollout_ref.actor.fsdp_config.param_offload is True


_FSDP = "actor_rollout_ref.actor.fsdp_config"


@pytest.mark.slow
def test_two_nodes_are_eight_gpus_twice_on_a_cluster() -> None:
    config = composed("+recipe=mint_4b", "+hardware=nodes_2x8")
    assert (config.trainer.nnodes, config.trainer.n_gpus_per_node) == (2, 8)
    assert config.ray_kwargs.ray_init.address == "auto"
    assert config.actor_rollout_ref.actor.fsdp_config.reshard_after_forward is False


@pytest.mark.slow
def test_lora_goes_with_a_machine() -> None:
    config = composed("+recipe=mint_4b", "+hardware=[h100_1,lora]")
    assert config.actor_rollout_ref.model.lora_rank == 32
    assert config.actor_rollout_ref.rollout.load_format == "safetensors"
    assert config.actor_rollout_ref.rollout.gpu_memory_utilization == 0.8


@pytest.mark.slow
def test_the_plain_baseline_has_its_own_data() -> None:
    config = composed("+recipe=quality_only_4b")
    assert (config.mint.data.style, config.mint.data.dir) == ("plain", "data/built/mint_plain")
    assert composed("+recipe=mint_4b").mint.data.dir == "data/built/mint"


@pytest.mark.slow
def test_a_layer_of_ones_own_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "recipes" / "hardware"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# My two cards.\ntrainer: {n_gpus_per_node: 2}\n")
    monkeypatch.chdir(tmp_path)
    assert composed("+recipe=mint_4b", "+hardware=mine").trainer.n_gpus_per_node == 2
