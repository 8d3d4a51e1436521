"""Checks that run before Ray: each bad input gives one line that says where to change it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import DictConfig
from safetensors.numpy import save_file

from mint.config import compose, recipes
from mint.config.schema import mint_config
from mint.policy.model_files import ModelFacts, is_local, model_facts
from mint.training import memory, preflight
from rewards.errors import ConfigError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder with 1.1M parameters; the embedding is the largest tensor (4 MB in fp32)."""
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(
        {"embed": np.zeros((4096, 256), np.float16), "layer": np.zeros((256, 256), np.float16)},
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps({"vocab_size": 4096}))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train", "val"):
        pq.write_table(pa.table({"prompt": ["x"] * 16}), folder / f"{name}.parquet")
    (folder / "card.json").write_text(json.dumps({"style": "tactics_history", "compact": True}))
    return folder


def config(model: Path, data: Path, *overrides: str) -> DictConfig:
    recipes.register(recipes.find_recipes())
    return compose.compose_config(
        [
            "+recipe=mint_tiny",
            f"actor_rollout_ref.model.path={model}",
            f"mint.data.dir={data}",
            "mint.data.source=prepared",
            *overrides,
        ]
    )


def check(built: DictConfig) -> preflight.Report:
    return preflight.check(built, mint_config(built))


def test_good_configuration_passes_and_reports(model: Path, data: Path) -> None:
    report = check(config(model, data))
    assert any("8 prompts x 8 replies = 64" in line for line in report.facts)
    assert any("1.1M parameters" in line for line in report.facts)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["data.train_batch_size=9", "actor_rollout_ref.actor.ppo_mini_batch_size=4"],
            "cannot be split into mini-batches",
        ),
        (["trainer.n_gpus_per_node=3"], "cannot be split over 3 ranks"),
        (["actor_rollout_ref.rollout.n=1"], "must be >= 2"),
        (["data.max_prompt_length=1000"], "max_model_len=512 is shorter"),
        (
            [
                "actor_rollout_ref.actor.use_dynamic_bsz=true",
                "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=100",
            ],
            "must hold one whole sequence",
        ),
        (
            ["actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes=1"],
            "smaller than the model's largest tensor (embed, 4.0 MB",
        ),
        (["mint.data.dir=/nonexistent/folder"], "does not exist; write it with"),
        (["actor_rollout_ref.model.path=./nowhere"], "./nowhere does not exist"),
        (["mint.data.compact=false"], "was prepared with compact=True"),
        (["data.train_batch_size=32"], "has 16 rows, data.train_batch_size=32"),
        (
            ["+actor_rollout_ref.rollout.engine_kwargs.vllm.max_num_seq=3"],
            "unknown key 'actor_rollout_ref.rollout.engine_kwargs.vllm.max_num_seq'; did you mean",
        ),
    ],
)
def test_bad_configurations_are_refused(
    model: Path, data: Path, overrides: list[str], expected: str
) -> None:
    with pytest.raises(ConfigError) as error:
        check(config(model, data, *overrides))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_too_little_memory_is_refused(
    model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Little:
        available = 2 * 1024**3

    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: Little)
    with pytest.raises(ConfigError, match="not enough memory: this run needs about"):
        check(config(model, data))


def test_package_that_breaks_training_is_named(
    model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = preflight.importlib.util.find_spec
    monkeypatch.setattr(
        preflight.importlib.util,
        "find_spec",
        lambda name: object() if name == "torchvision" else real(name),
    )
    with pytest.raises(ConfigError, match="pip uninstall -y torchvision"):
        preflight.check_packages("cpu")


def test_hub_names_and_folders_are_told_apart(tmp_path: Path) -> None:
    assert not is_local("Qwen/Qwen3-4B")
    assert is_local("/models/x")
    assert is_local("./x")
    assert is_local("outputs/tiny-policy")
    assert is_local(str(tmp_path))


def test_model_facts_come_from_the_files(model: Path) -> None:
    facts = model_facts(str(model))
    assert facts.num_parameters == 4096 * 256 + 256 * 256
    assert facts.largest_tensor == "embed"
    assert model_facts("Qwen/NotDownloaded").num_parameters == 0


def test_damaged_weights_are_refused(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\xff" * 32)
    with pytest.raises(ConfigError, match="not a safetensors file"):
        model_facts(str(model))


QWEN3_4B = ModelFacts(4_022_468_096, "embed", 151_936 * 2560, 151_936)


@pytest.mark.parametrize(
    ("overrides", "total", "expected"),
    [
        ([], 79.0, None),
        (["actor_rollout_ref.actor.fsdp_config.optimizer_offload=false"], 79.0, None),
        (
            [
                "actor_rollout_ref.actor.fsdp_config.optimizer_offload=false",
                "actor_rollout_ref.actor.fsdp_config.param_offload=false",
            ],
            79.0,
            "lower actor_rollout_ref.rollout.gpu_memory_utilization",
        ),
        (
            [
                "actor_rollout_ref.actor.fsdp_config.optimizer_offload=false",
                "actor_rollout_ref.actor.fsdp_config.param_offload=false",
            ],
            139.0,
            None,
        ),
        ([], 47.0, "an update needs 60 GiB a GPU"),
        (["trainer.n_gpus_per_node=2"], 47.0, None),
        ([], None, None),
    ],
)
def test_gpu_memory(overrides: list[str], total: float | None, expected: str | None) -> None:
    recipes.register(recipes.find_recipes())
    built = compose.compose_config(["+recipe=mint_4b", *overrides])
    if expected is None:
        memory.check_gpu_memory(built, QWEN3_4B, total)
        preflight.check_batches(built)
        return
    with pytest.raises(ConfigError) as error:
        memory.check_gpu_memory(built, QWEN3_4B, total)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "trainer.test_freq=5",
            r"trainer\.test_freq=5 would start verl's own validation; set mint",
        ),
        ("trainer.val_before_train=true", r"trainer\.val_before_train=True would start verl's own"),
        (
            "mint.validation.choose={empathi: 1}",
            r"mint\.validation\.choose: no metric 'empathi'; did you mean 'empathy'\?",
        ),
        ("mint.run.export=newest", r"mint\.run\.export must be one of best, last, got 'newest'"),
        ("mint.validation.safety.crisis=2", r"crisis must be in \[0, 1\], got 2"),
    ],
)
def test_validation_that_cannot_work_is_refused(
    model: Path, data: Path, override: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check(config(model, data, override))


def test_metrics_to_choose_by_can_be_named_on_the_command_line(model: Path, data: Path) -> None:
    built = config(
        model,
        data,
        "mint.validation.choose={self_stickiness: -0.5}",
        "mint.validation.every_steps=4",
    )
    assert mint_config(built).validation.choose == {"composite": 1.0, "self_stickiness": -0.5}
    assert "validation every 4 steps and at the end" in check(built).facts
