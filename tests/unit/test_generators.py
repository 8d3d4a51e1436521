"""Which generator makes the replies, and how its batches fit in memory."""

from __future__ import annotations

import os
import random
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from mint.config import compose, recipes
from mint.config.evaluation import EvaluationConfig, GenerationConfig
from mint.config.schema import mint_config
from mint.evaluation import generate, generate_vllm, generator
from mint.evaluation.batches import Load, ModelSize, batch_bytes, model_size, plan_batches
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.sources.local import LocalModel
from mint.machine.limits import Memory, usable_cores
from mint.policy.vllm_switches import vllm_switches
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow

QWEN3_4B = SimpleNamespace(
    num_hidden_layers=36,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
    hidden_size=2560,
    intermediate_size=9728,
    vocab_size=151_936,
)
GIB = 1024**3
PAPER = Load(samples=1, new_tokens=2048)


def composed(*overrides: str) -> Any:
    recipes.register(recipes.find_recipes())
    return compose.compose_config(list(overrides))


def test_the_last_batch_of_the_published_conversations_is_what_it_was_computed_to_be() -> None:
    """48 rows padded to 7,400 tokens: 48.8 GiB of keys and values, 19.3 of an MLP."""
    size = model_size(QWEN3_4B, 2)
    assert size.kv_width == 1024
    tokens = 48 * 7400
    assert 2 * size.layers * size.kv_width * 2 * tokens / GIB == pytest.approx(48.8, abs=0.1)
    assert 3 * size.intermediate * 2 * tokens / GIB == pytest.approx(19.3, abs=0.1)
    whole = batch_bytes(size, 48, 7400, PAPER) / GIB
    assert 75 < whole < 90, "with 7.5 GiB of weights more than the 79 of an 80 GB GPU"


@pytest.mark.parametrize("on_gpu", [True, False])
def test_vllm_starts_with_the_switches_of_all_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_gpu: bool
) -> None:
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "DEBUG")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    shared = vllm_switches(str(tmp_path), None if on_gpu else usable_cores())
    with generate_vllm._switched(str(tmp_path), on_gpu):
        seen = dict(os.environ)
    assert seen["VLLM_LOGGING_LEVEL"] == "DEBUG", "what the user says counts"
    assert seen["HF_HUB_OFFLINE"] == "1", "the model is a folder"
    assert set(shared) <= set(seen)
    assert (seen.get("VLLM_CPU_KVCACHE_SPACE"), seen.get("VLLM_USE_FLASHINFER_SAMPLER")) == (
        (None, "0") if on_gpu else ("1", None)
    )
    assert "HF_HUB_OFFLINE" not in os.environ, "the next model may be one of the hub"


def test_free_memory_is_that_of_the_control_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "read_memory", lambda: Memory(4, 2, limited=True))
    made = object.__new__(generate.ReplyGenerator)
    made.device = "cpu"
    assert made._free_bytes() == int(0.8 * 2 * GIB)


@pytest.mark.parametrize("free", [70, 40, 20, 8])
@pytest.mark.parametrize("samples", [1, 4])
def test_batches_keep_to_the_budget_and_lose_nothing(free: int, samples: int) -> None:
    rng = random.Random(free)
    lengths = [rng.randint(300, 1500) for _ in range(128)] + [7400 - 60 * i for i in range(48)]
    size, load = model_size(QWEN3_4B, 2), Load(samples, 2048)
    batches = plan_batches(lengths, size, load, 64, free * GIB)
    assert sorted(i for batch in batches for i in batch) == list(range(176))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) * samples <= 64
        fits = batch_bytes(size, len(batch), longest, load) <= free * GIB
        assert fits or len(batch) == 1
    longest_first = [max(lengths[i] for i in batch) for batch in batches]
    assert longest_first == sorted(longest_first)


def test_plenty_of_memory_means_batches_by_rows_alone() -> None:
    size = ModelSize(4, 64, 64, 128, 1000, 4)
    batches = plan_batches([5] * 10, size, Load(2, 8), 8, 10**12)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert plan_batches([], size, Load(2, 8), 8, 10**12) == []
    assert [len(b) for b in plan_batches([5] * 3, size, Load(16, 8), 8, 10**12)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("asked", "version", "gpu", "chosen"),
    [
        ("auto", "0.24.0", True, "vllm"),
        ("auto", "0.24.0", False, "transformers"),
        ("auto", "0.28.0+cpu", True, "transformers"),
        ("auto", None, True, "transformers"),
        ("vllm", "0.28.0+cpu", False, "vllm"),
        ("transformers", "0.24.0", True, "transformers"),
    ],
)
def test_vllm_generates_where_there_is_a_gpu(
    monkeypatch: pytest.MonkeyPatch, asked: str, version: str | None, gpu: bool, chosen: str
) -> None:
    monkeypatch.setattr(generator.util, "find_spec", lambda name: version and object())
    monkeypatch.setattr(generator.metadata, "version", lambda name: version)
    monkeypatch.setattr(generator.torch.cuda, "is_available", lambda: gpu)
    assert generator.chosen_engine(asked) == chosen
    if chosen == "vllm":
        made: list[tuple[str, GenerationConfig, int]] = []
        double = ModuleType("mint.evaluation.generate_vllm")
        double.VllmGenerator = lambda *arguments: made.append(arguments)  # type: ignore[attr-defined]
        monkeypatch.setitem(__import__("sys").modules, double.__name__, double)
        settings = GenerationConfig(engine=asked)
        generator.open_generator("a/model", settings)
        generator.open_generator("a/model", settings, 2)
        assert made == [("a/model", settings, models) for models in (1, 2)]


def test_an_engine_that_is_not_there_or_unknown_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match=r"mint\.evaluation\.engine must be .*got 'sglang'"):
        EvaluationConfig(engine="sglang")
    with pytest.raises(ConfigError, match="engine must be auto, vllm, transformers, got 'x'"):
        EvaluateSettings(model="m", engine="x")
    monkeypatch.setattr(generator.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="vllm is not installed; use engine=transformers"):
        generator.chosen_engine("vllm")


def test_journals_of_different_engines_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert "engine" not in LocalModel(str(tmp_path), 4, "transformers").identity
    assert LocalModel(str(tmp_path), 4, "vllm").identity["engine"] == "vllm"


def test_heads_divide_among_the_gpus() -> None:
    from mint.evaluation.generate_vllm import num_gpus

    assert [num_gpus(QWEN3_4B, n) for n in (0, 1, 2, 3, 4, 6, 8, 16)] == [1, 1, 2, 2, 4, 4, 8, 8]


@pytest.mark.parametrize("value", [True, False])
def test_thinking_is_one_key(value: bool) -> None:
    config = composed("+recipe=mint_4b", f"mint.data.enable_thinking={value}")
    assert config.data.apply_chat_template_kwargs.enable_thinking is value
    assert mint_config(config).data.enable_thinking is value
    assert "enable_thinking" not in config.mint.evaluation
    assert composed("+recipe=mint_4b").data.apply_chat_template_kwargs.enable_thinking is True
    assert composed("+recipe=mint_tiny").data.apply_chat_template_kwargs.enable_thinking is False


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (
            "data.apply_chat_template_kwargs.enable_thinking=false",
            r"follows mint\.data\.enable_thinking; set that \(on the command line\)",
        ),
        ("mint.evaluation.enable_thinking=true", r"did you mean 'mint\.data\.enable_thinking'"),
    ],
)
def test_other_places_for_thinking_are_refused(override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        composed("+recipe=mint_4b", override)


def test_other_arguments_of_a_template_are_free() -> None:
    config = composed("+recipe=mint_4b", "+data.apply_chat_template_kwargs.style=x")
    assert config.data.apply_chat_template_kwargs.style == "x"


def test_configurations_of_earlier_runs_are_read() -> None:
    plain: Any = OmegaConf.to_container(composed("+recipe=mint_4b"), resolve=True)
    plain["mint"]["evaluation"]["enable_thinking"] = plain["mint"]["data"].pop("enable_thinking")
    read = mint_config(OmegaConf.create({"mint": plain["mint"]}))
    assert read.data.enable_thinking is True


def test_the_optimizer_works_in_place_on_a_gpu() -> None:
    gpu, cpu = composed("+recipe=mint_4b"), composed("+recipe=mint_tiny")
    assert gpu.actor_rollout_ref.actor.optim.override_optimizer_config == {"fused": True}
    assert cpu.actor_rollout_ref.actor.optim.override_optimizer_config == {"fused": False}
