"""Checks that run before Ray: each bad input gives one line that says where to change it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import DictConfig
from safetensors.numpy import save_file

from mint.config import compose, recipes
from mint.config.schema import mint_config
from mint.machine.facts import Disk, Machine, read_machine
from mint.machine.gpus import Gpu
from mint.machine.limits import Memory
from mint.planning import given
from mint.planning.lengths import Lengths
from mint.policy.model_files import is_local, model_facts
from mint.training import machine_checks, preflight, resuming
from mint.training.on_policy import check_on_policy
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow

RECOMPUTE = "algorithm.rollout_correction.bypass_mode=false"
SMALL = {
    "vocab_size": 4096,
    "hidden_size": 256,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "tie_word_embeddings": True,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder with 1.1M parameters; the embedding is the largest tensor (4 MB in fp32)."""
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(
        {"embed": np.zeros((4096, 256), np.float16), "layer": np.zeros((256, 256), np.float16)},
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps(SMALL))
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


def test_long_prompts_are_never_cut(model: Path, data: Path) -> None:
    built = config(model, data)
    lengths = Lengths(16, 15, 9.0, 300, 40.0, "")
    preflight.check_prompts(built, lengths)
    built.data.filter_overlong_prompts = False  # as in config.yaml of a run whose prompts all fit
    preflight.check_prompts(built, lengths._replace(kept=16))
    with pytest.raises(ConfigError, match=r"1 of 16 prompts .* are longer than .*=256 and would"):
        preflight.check_prompts(built, lengths)


def test_good_configuration_passes_and_reports(model: Path, data: Path) -> None:
    report = check(config(model, data))
    assert any("8 prompts x 8 replies = 64" in line for line in report.facts)
    assert any("1.1M parameters" in line for line in report.facts)


def test_models_that_do_not_share_prompts_are_told(model: Path, data: Path) -> None:
    def told(content: dict[str, object], *overrides: str) -> list[str]:
        (model / "config.json").write_text(json.dumps({**SMALL, **content}))
        notes = check(config(model, data, *overrides)).notes
        return [note for note in notes if "once a reply, not once a group" in note]

    assert told({"model_type": "qwen3"}) == []
    assert (
        "mamba is none of the architectures qwen2, qwen3, llama" in told({"model_type": "mamba"})[0]
    )
    capped = {"model_type": "gemma2", "final_logit_softcapping": 30.0}
    assert "caps scores (final_logit_softcapping=30.0)" in told(capped)[0]
    assert "attention_dropout=0.1" in told({"model_type": "llama", "attention_dropout": 0.1})[0]
    parallel = "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size=2"
    assert "ulysses_sequence_parallel_size=2" in told({"model_type": "qwen3"}, parallel)[0]
    with pytest.raises(ConfigError, match=r"set actor_rollout_ref\.model\.use_fused_kernels=false"):
        told(capped, "actor_rollout_ref.model.use_fused_kernels=true")


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
        (
            ["actor_rollout_ref.actor.ppo_mini_batch_size=4"],
            "only while one update follows a batch: got actor_rollout_ref.actor.ppo_mini_batch_size"
            "=4 of data.train_batch_size=8 prompts and ppo_epochs=1; make them equal and 1, or set "
            "actor_rollout_ref.actor.policy_loss.loss_mode=vanilla "
            "algorithm.rollout_correction.bypass_mode=false",
        ),
        (["actor_rollout_ref.actor.ppo_epochs=2", RECOMPUTE], "and ppo_epochs=2; make them equal"),
        (
            ["actor_rollout_ref.actor.policy_loss.loss_mode=vanilla"],
            "bypass_mode=true takes from the rollout; set algorithm.rollout_correction",
        ),
        (
            ["actor_rollout_ref.rollout.calculate_log_probs=false"],
            "needs actor_rollout_ref.rollout.calculate_log_probs=true",
        ),
        (
            ["actor_rollout_ref.actor.calculate_entropy=false"],
            "needs actor_rollout_ref.actor.calculate_entropy=true",
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


def test_every_recipe_says_where_its_old_log_probabilities_come_from(root: Path) -> None:
    recipes.register(recipes.find_recipes())
    files = (root / "recipes").glob("*.yaml")
    whole = [file.stem for file in files if not file.read_text().startswith("# layer")]
    assert len(whole) >= 10
    for name in whole:
        check_on_policy(compose.compose_config([f"+recipe={name}"]))


@pytest.mark.parametrize(
    "overrides",
    [
        [RECOMPUTE],
        [RECOMPUTE, "actor_rollout_ref.rollout.calculate_log_probs=false"],
        [
            RECOMPUTE,
            "actor_rollout_ref.actor.policy_loss.loss_mode=vanilla",
            "actor_rollout_ref.actor.ppo_mini_batch_size=4",
            "actor_rollout_ref.actor.ppo_epochs=2",
        ],
    ],
)
def test_old_log_probabilities_can_be_recomputed(
    model: Path, data: Path, overrides: list[str]
) -> None:
    assert check(config(model, data, *overrides)).facts


GPU_PACKAGES = {
    "verl": "0.9.1",
    "TransferQueue": "0.1.11",
    "ray": "2.60.0",
    "tensordict": "0.10.0",
    "torch": "2.11.0",
    "torchvision": "0.26.0",
    "transformers": "5.9.0",
    "vllm": "0.24.0",
    "tensorboard": "2.21.0",
    "flash-attn": "2.8.3",
}


def machine(**changes: object) -> Machine:
    """A machine on which mint_4b runs as it is."""
    facts: dict[str, object] = {
        **vars(read_machine()),
        "cores": 32,
        "memory": Memory(250.0, 240.0, False),
        "gpus": (Gpu("NVIDIA H200", 139.8, 139.0, "580.1"),),
        "cuda": "13.0",
        "versions": GPU_PACKAGES,
        "torch_cuda": "13.0",
    }
    return Machine(**{**facts, **changes})  # type: ignore[arg-type]


def test_too_little_memory_is_refused(
    model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = read_machine()
    little = Machine(**{**vars(here), "memory": Memory(4.0, 2.0, True)})
    monkeypatch.setattr(preflight, "read_machine", lambda: little)
    with pytest.raises(ConfigError, match="not enough memory: this run needs about"):
        check(config(model, data))


def check_on(own: Machine, *overrides: str) -> None:
    recipes.register(recipes.find_recipes())
    built = compose.compose_config(["+recipe=mint_4b", *overrides])
    machine_checks.check_machine(built, mint_config(built), own)


H100 = Gpu("NVIDIA H100 80GB HBM3", 79.6, 79.1, "580.1")
_FSDP = "actor_rollout_ref.actor.fsdp_config"
_FLASH = "actor_rollout_ref.model.override_config.attn_implementation=flash_attention_2"


@pytest.mark.parametrize(
    ("changes", "overrides", "expected"),
    [
        ({}, [], None),
        ({"gpus": ()}, [], "nvidia-smi shows no GPU here; `python -m mint.plan gpu=NAME`"),
        ({}, ["trainer.n_gpus_per_node=2"], "1 is visible here; set trainer.n_gpus_per_node=1"),
        ({"gpus": (), "cores": 2}, ["ray_kwargs.ray_init.address=auto"], None),
        ({}, ["trainer.nnodes=2"], "needs a Ray cluster of so many machines"),
        ({"cuda": "12.8"}, [], "torch was built for CUDA 13.0, the driver (580.1) runs 12.8"),
        ({"torch_cuda": None}, [], "torch 2.11.0 is a build for CPUs"),
        ({"versions": {**GPU_PACKAGES, "vllm": "0.32.0"}}, [], "vllm 0.32.0 (needs 0.24.0)"),
        ({"versions": {**GPU_PACKAGES, "vllm": "0.24.2"}}, [], None),
        ({"versions": {**GPU_PACKAGES, "verl": "0.9.2"}}, [], "verl 0.9.2 (needs 0.9.1)"),
        ({}, ["trainer.device=tpu"], "trainer.device must be cuda or cpu, got 'tpu'"),
        ({}, [_FLASH], None),
        (
            {"versions": {k: v for k, v in GPU_PACKAGES.items() if k != "flash-attn"}},
            [_FLASH],
            "attn_implementation=flash_attention_2 needs the package flash-attn, which is not inst",
        ),
        (
            {"cores": 8},
            ["transfer_queue.backend.SimpleStorage.num_data_storage_units=8"],
            "verl books 12 (TransferQueue 9 + ranks 3) and would wait for ever, Ray has 8; set "
            "transfer_queue.backend.SimpleStorage.num_data_storage_units=4",
        ),
        ({"cores": 8}, [], None),
        ({"cores": 4}, [], "Ray has 4; set ray_kwargs.ray_init.num_cpus=6"),
        (
            {"memory": Memory(64.0, 60.0, True)},
            [],
            "60.0 GiB are available; set actor_rollout_ref.actor.fsdp_config.param_offload=false",
        ),
        ({"gpus": (H100,)}, [], None),
        (
            {"gpus": (H100,)},
            ["actor_rollout_ref.actor.optim.override_optimizer_config.fused=false"],
            "the optimizer step needs",
        ),
        (
            {"gpus": (H100._replace(free_gib=60.0),)},
            [],
            "60.0 are there",
        ),
        (
            {"gpus": (H100,)},
            [f"{_FSDP}.param_offload=false", f"{_FSDP}.optimizer_offload=false"],
            "not enough GPU memory: the generation needs",
        ),
        ({"gpus": (H100._replace(total_gib=47.5, free_gib=47.0),)}, ["+hardware=lora"], None),
        (
            {"gpus": (H100._replace(total_gib=47.5, free_gib=47.0),)},
            [],
            "not enough GPU memory: the backward pass needs",
        ),
    ],
)
def test_what_a_machine_cannot_do_is_refused(
    changes: dict[str, object],
    overrides: list[str],
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(given, "disk", lambda _path: Disk(500.0, 400.0))
    own = machine(**changes)
    if expected is None:
        check_on(own, *overrides)
        return
    with pytest.raises(ConfigError) as error:
        check_on(own, *overrides)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_push_of_weights_needs_shared_memory(model: Path, data: Path) -> None:
    built, facts = config(model, data), model_facts(str(model))
    machine_checks.check_bucket(built, facts, 0.1)
    with pytest.raises(ConfigError, match=r"=64 MB does not fit in /dev/shm \(10 MB free\)"):
        machine_checks.check_bucket(built, facts, 0.01)


def test_a_run_directory_that_cannot_be_written_is_refused(
    model: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    place = f"{tmp_path / 'file'}/run"
    built = config(model, data, f"mint.run.dir={place}")
    with pytest.raises(ConfigError, match=f"mint.run.dir={place} cannot be written: .*: Not a dir"):
        resuming.check_run_dir(built, mint_config(built), {})


def test_a_template_that_takes_no_instructions_is_refused(
    model: Path, data: Path, chat_tokenizer: Path
) -> None:
    for file in chat_tokenizer.iterdir():
        shutil.copy(file, model)
    template = model / "chat_template.jinja"
    assert check(config(model, data)).facts
    refuses = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    )
    template.write_text(refuses + template.read_text())
    with pytest.raises(ConfigError, match=r"takes no system message \(no system\), and every"):
        check(config(model, data))
    own = "actor_rollout_ref.model.custom_chat_template='{{ messages }}'"
    assert check(config(model, data, own)).facts


def test_mint_must_be_installed_for_verl_to_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "plugin_is_registered", lambda: False)
    with pytest.raises(ConfigError, match=r"on the path but not installed.*pip install --no-deps"):
        machine_checks.check_packages(read_machine(), "cpu")


@pytest.mark.parametrize("package", ["torchvision", "trl"])
def test_package_that_breaks_training_is_named(package: str) -> None:
    here = read_machine()
    own = Machine(**{**vars(here), "versions": {**here.versions, package: "1.0"}})
    with pytest.raises(ConfigError, match=f"pip uninstall -y {package}"):
        machine_checks.check_packages(own, "cpu")


def test_prompts_that_the_filter_drops_are_counted(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    prompts = [[{"role": "user", "content": "x" * length}] for length in [40] * 10 + [4200] * 20]
    for name in ("train", "val"):
        pq.write_table(pa.table({"prompt": prompts}), folder / f"{name}.parquet")
    assert any("10 of 30 fit; 20 are longer" in line for line in check(config(model, folder)).facts)
    with pytest.raises(ConfigError, match=r"10 of 30 prompts of .* fit into data.max_prompt_leng"):
        check(config(model, folder, "data.train_batch_size=16"))


def test_model_and_data_are_checked_while_the_other_is_still_to_be_built(
    model: Path, data: Path, tmp_path: Path
) -> None:
    built = config(model, data, "actor_rollout_ref.model.path=./nowhere")
    with pytest.raises(ConfigError, match=r"\./nowhere does not exist"):
        preflight.check(built, mint_config(built), {"data"})
    built = config(model, data, f"mint.data.dir={tmp_path / 'none'}")
    with pytest.raises(ConfigError, match="does not exist; write it with"):
        preflight.check(built, mint_config(built), {"policy"})


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
