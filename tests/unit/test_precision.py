"""Numbers that a processor is fast in: chosen once, at the start of a run."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from mint.config import compose, recipes
from mint.config.schema import mint_config
from mint.planning.settings import settings_of
from mint.training.filled_keys import fill_verl_keys
from rewards.precision import resolve_dtype

NATIVE = {"avx512_bf16": True}
ENGINES = (
    "actor_rollout_ref.actor.fsdp_config",
    "actor_rollout_ref.ref.fsdp_config",
    "critic.fsdp",
)


@pytest.fixture(autouse=True)
def _registered() -> None:
    recipes.register(recipes.find_recipes())


def begun(recipe: str, *overrides: str) -> DictConfig:
    config = compose.compose_config([f"+recipe={recipe}", *overrides])
    fill_verl_keys(config, mint_config(config))
    return config


def computes_in(config: DictConfig) -> list[Any]:
    mixed = [OmegaConf.select(config, f"{engine}.mixed_precision") for engine in ENGINES]
    return [*(m and m.param_dtype for m in mixed), config.actor_rollout_ref.rollout.dtype]


@pytest.mark.parametrize(
    ("there", "chosen"),
    [(NATIVE, "bfloat16"), ({"amx_bf16": True}, "bfloat16"), ({}, "float32")],
)
def test_auto_is_bfloat16_where_the_processor_has_it(
    there: dict[str, bool], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: there)
    assert resolve_dtype("auto") == chosen
    assert (resolve_dtype("float32"), resolve_dtype("bfloat16")) == ("float32", "bfloat16")
    assert computes_in(begun("rlver_tiny_ppo")) == [chosen] * 4
    assert begun("mint_smol").mint.encoder.dtype == chosen


def test_what_is_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    key = "actor_rollout_ref.actor.fsdp_config.mixed_precision.param_dtype"
    asked = begun("mint_tiny", f"{key}=bf16", "actor_rollout_ref.rollout.dtype=bfloat16")
    assert computes_in(asked) == ["bf16", "bf16", None, "bfloat16"]


@pytest.mark.parametrize("recipe", ["mint_4b", "rlver_7b_ppo"])
def test_a_gpu_is_left_to_verl(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    assert computes_in(begun(recipe)) == [None, None, None, "bfloat16"]


def test_a_run_keeps_the_numbers_of_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are a part of the graders' identity: a continuation elsewhere has them too."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: NATIVE)
    config = compose.compose_config(["+recipe=mint_tiny"])
    assert config.mint.encoder.dtype == "auto"
    fill_verl_keys(config, mint_config(config))
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    assert resolve_dtype("auto") == "float32"
    fill_verl_keys(config, mint_config(config))
    assert computes_in(config) == ["bfloat16", "bfloat16", None, "bfloat16"]
    assert config.mint.encoder.dtype == "bfloat16"


def test_a_plan_counts_the_bytes_of_this_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose.compose_config(["+recipe=mint_tiny"])
    for there, width in ((NATIVE, 2), ({}, 4)):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda there=there: there)
        assert settings_of(config, mint_config(config)).arithmetic_bytes == width
