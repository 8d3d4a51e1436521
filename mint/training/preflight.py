"""Checks before anything starts: packages, model, data, batches, memory. No verl, no Ray.

Every problem is a one-line ConfigError; what cannot be known here (no GPU, no weights) is a note.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil
import pyarrow.parquet as pq
from omegaconf import DictConfig

from mint.config.prompts import length_note
from mint.config.schema import MintConfig
from mint.policy.model_files import ModelFacts, is_local, model_facts
from mint.shell.cli import nearest
from mint.validation.measure import check_validation
from rewards.errors import ConfigError

VERL_VERSION = "0.9.1"
_GIB = 1024**3

# Resident memory of a CPU run's processes without the model (measured, docs/performance.md).
_CPU_PROCESSES_GIB = 8.0


class Report(NamedTuple):
    """What preflight found besides problems (which raise)."""

    facts: list[str]
    notes: list[str]


def check(config: DictConfig, mint: MintConfig, *, require_material: bool = True) -> Report:
    """Raise ConfigError for the first problem; return facts and notes otherwise.

    `require_material` False skips files that the run itself builds (demo data, tiny policy).
    """
    check_batches(config)
    check_validation(config.trainer, mint.validation)
    check_packages(str(config.trainer.device))
    check_engine_arguments(config)
    facts = model_facts(str(config.actor_rollout_ref.model.path)) if require_material else None
    if require_material:
        check_model_path(str(config.actor_rollout_ref.model.path))
        check_data(config, mint)
    notes = list(_notes(config, facts))
    if require_material:
        notes += _prompt_notes(config, mint)
    if facts is not None:
        check_bucket(config, facts)
        check_memory(config, facts)
    return Report(list(_facts(config, mint, facts)), notes)


def check_batches(config: DictConfig) -> None:
    """Sizes that verl would trip over minutes later, or round silently."""
    prompts, n = int(config.data.train_batch_size), int(config.actor_rollout_ref.rollout.n)
    mini = int(config.actor_rollout_ref.actor.ppo_mini_batch_size)
    ranks = int(config.trainer.n_gpus_per_node) * int(config.trainer.nnodes)
    if n < 2:
        raise ConfigError(
            f"actor_rollout_ref.rollout.n must be >= 2 (a group needs siblings), got {n}"
        )
    if prompts % mini:
        raise ConfigError(
            f"data.train_batch_size={prompts} prompts cannot be split into mini-batches of "
            f"actor_rollout_ref.actor.ppo_mini_batch_size={mini}; use a divisor of {prompts}"
        )
    if (mini * n) % ranks:
        raise ConfigError(
            f"a mini-batch of {mini} prompts x {n} replies = {mini * n} cannot be split over "
            f"{ranks} ranks (trainer.n_gpus_per_node x trainer.nnodes); change one of "
            "ppo_mini_batch_size, rollout.n, n_gpus_per_node"
        )
    total = int(config.data.max_prompt_length) + int(config.data.max_response_length)
    actor = config.actor_rollout_ref.actor
    if actor.use_dynamic_bsz and int(actor.ppo_max_token_len_per_gpu) < total:
        raise ConfigError(
            "actor_rollout_ref.actor.ppo_max_token_len_per_gpu must hold one whole sequence: "
            f"got {actor.ppo_max_token_len_per_gpu}, data.max_prompt_length + "
            f"data.max_response_length = {total}"
        )
    longest = config.actor_rollout_ref.rollout.max_model_len
    if longest is not None and int(longest) < total:
        raise ConfigError(
            f"actor_rollout_ref.rollout.max_model_len={longest} is shorter than "
            f"data.max_prompt_length + data.max_response_length = {total}"
        )


def check_packages(device: str) -> None:
    """The right versions of the right packages, and none that break them."""
    verl = _version("verl")
    if verl != VERL_VERSION:
        raise ConfigError(
            f"mint works with verl {VERL_VERSION}, found {verl or 'none'}; run `make install`, or "
            "`pip install -e .[gpu]` on a GPU machine"
        )
    for package in ("ray", "TransferQueue", "vllm"):
        if _version(package) is None:
            extra = "; see requirements/vllm-name" if package == "vllm" else ""
            raise ConfigError(f"the package {package} is not installed; run `make install`{extra}")
    if device != "cpu":
        return
    if "+cpu" not in str(_version("vllm")):
        raise ConfigError(
            f"trainer.device=cpu needs vLLM's CPU build, found vllm {_version('vllm')}; use "
            "requirements/cpu.txt in an environment of its own"
        )
    for package in ("torchvision", "torchaudio", "torchcodec", "trl"):
        if importlib.util.find_spec(package) is not None:
            raise ConfigError(
                f"{package} is installed and breaks training on a CPU (verl or transformers fail "
                f"to import); run `pip uninstall -y {package}`"
            )
    names = {entry.name for entry in metadata.entry_points(group="verl.plugins")}
    if "mint_cpu" not in names:
        raise ConfigError(
            "mint is on the path but not installed, so verl cannot load its CPU platform; run "
            "`pip install --no-deps -e .`"
        )


def check_engine_arguments(config: DictConfig) -> None:
    """Keys handed to vLLM unread must be arguments of the installed vLLM's engine."""
    given = config.actor_rollout_ref.rollout.engine_kwargs.vllm
    spec = importlib.util.find_spec("vllm")
    if not given or spec is None or not spec.submodule_search_locations:
        return
    # Read, not imported: importing vllm takes ten seconds.
    source = Path(spec.submodule_search_locations[0]) / "engine" / "arg_utils.py"
    known = {
        field.target.id
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name in ("EngineArgs", "AsyncEngineArgs")
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    for key in given:
        if key not in known:
            raise ConfigError(
                f"unknown key 'actor_rollout_ref.rollout.engine_kwargs.vllm.{key}'"
                f"{nearest(str(key), known)} (vLLM {_version('vllm')} has no such engine argument)"
            )


def check_model_path(path: str) -> None:
    """A local model folder must exist and hold a model."""
    if not is_local(path):
        return
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"actor_rollout_ref.model.path={path} does not exist; give a Hugging Face model folder "
            "or a hub name such as Qwen/Qwen3-4B"
        )
    if not (folder / "config.json").is_file():
        raise ConfigError(f"actor_rollout_ref.model.path={path} holds no config.json")


def check_data(config: DictConfig, mint: MintConfig) -> None:
    """The parquet files exist, are enough for a batch, and were made with the same prompt style."""
    for key, needed in (("train_files", int(config.data.train_batch_size)), ("val_files", 1)):
        path = Path(str(config.data[key]))
        if not path.is_file():
            raise ConfigError(
                f"data.{key}: {path} does not exist; write it with `python -m mint.prepare "
                f"input=CONVERSATIONS.json output={mint.data.dir}`, or set mint.data.dir"
            )
        rows = pq.ParquetFile(path).metadata.num_rows
        if rows < needed:
            raise ConfigError(
                f"{path} has {rows} rows, data.train_batch_size={needed} needs at least {needed}"
            )
    card_path = Path(str(config.data.train_files)).with_name("card.json")
    if not card_path.is_file():
        return
    card = json.loads(card_path.read_text(encoding="utf-8"))
    for name in ("style", "compact"):
        wanted = getattr(mint.data, name)
        if name in card and card[name] != wanted:
            raise ConfigError(
                f"{card_path.parent} was prepared with {name}={card[name]}, the run says "
                f"mint.data.{name}={wanted}; prepare it again or change the key"
            )


def check_bucket(config: DictConfig, facts: ModelFacts) -> None:
    """Without device IPC a tensor larger than the transfer bucket cannot be pushed at all."""
    if config.trainer.device != "cpu" or not facts.largest_tensor_elements:
        return
    key = "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"
    megabytes = int(
        config.actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes
    )
    needed = facts.largest_tensor_elements * 4 / 1024**2
    if megabytes < needed:
        raise ConfigError(
            f"{key}={megabytes} MB is smaller than the model's largest tensor "
            f"({facts.largest_tensor}, {needed:.1f} MB in float32); set at least {int(needed) + 1}"
        )
    free = psutil.disk_usage("/dev/shm").free / 1024**2
    if free < megabytes:
        raise ConfigError(f"{key}={megabytes} MB does not fit in /dev/shm ({free:.0f} MB free)")


def check_memory(config: DictConfig, facts: ModelFacts) -> None:
    """Training state, reference, rollout copy and processes against what is free."""
    if not facts.num_parameters:
        return
    if config.trainer.device == "cuda":
        check_gpu_memory(config, facts, gpu_total_gib())
        return
    needed = cpu_memory_gib(config, facts)
    free = psutil.virtual_memory().available / _GIB
    if needed > free:
        raise ConfigError(
            f"not enough memory: this run needs about {needed:.1f} GiB "
            f"({facts.num_parameters / 1e6:.0f}M parameters), {free:.1f} GiB are available; use a "
            "smaller model (actor_rollout_ref.model.path) or free memory"
        )


def check_gpu_memory(config: DictConfig, facts: ModelFacts, total: float | None) -> None:
    """The two tightest moments on a GPU of `total` GiB (None: no GPU here, nothing to check).

    Update: parameters, gradients and Adam in float32, 16 B a parameter over all ranks. Rollout:
    vLLM's share next to parameters and Adam (12 B a parameter) unless they are offloaded.
    """
    if total is None:
        return
    ranks = int(config.trainer.n_gpus_per_node) * int(config.trainer.nnodes)
    each = facts.num_parameters / ranks / _GIB
    fsdp = config.actor_rollout_ref.actor.fsdp_config
    share = float(config.actor_rollout_ref.rollout.gpu_memory_utilization)
    resident = (0 if fsdp.param_offload else 4) + (0 if fsdp.optimizer_offload else 8)
    update, rollout = 16 * each, resident * each + share * total
    if update > total:
        raise ConfigError(
            f"not enough GPU memory: an update needs {update:.0f} GiB a GPU for parameters, "
            f"gradients and optimiser, {total:.0f} GiB are there; use more GPUs "
            "(trainer.n_gpus_per_node) or LoRA (actor_rollout_ref.model.lora_rank)"
        )
    if rollout > total:
        raise ConfigError(
            f"not enough GPU memory: {resident * each:.0f} GiB of training state stay on the GPU "
            f"while vLLM takes {share:.0%} of {total:.0f} GiB; lower "
            "actor_rollout_ref.rollout.gpu_memory_utilization, or set "
            "actor_rollout_ref.actor.fsdp_config.param_offload and optimizer_offload to true"
        )


def gpu_total_gib() -> float | None:
    """Memory of the first GPU in GiB; None when there is none."""
    import torch

    if not torch.cuda.is_available():
        return None
    return float(torch.cuda.get_device_properties(0).total_memory) / _GIB


def cpu_memory_gib(config: DictConfig, facts: ModelFacts) -> float:
    """Estimated peak of a CPU run in GiB: 16 B a parameter for training, 4 for the reference,
    2 for the rollout copy, logits of one micro-batch, and the processes themselves."""
    tokens = int(config.actor_rollout_ref.actor.ppo_max_token_len_per_gpu)
    logits = 3 * tokens * facts.vocab_size * 4
    store = int(config.ray_kwargs.ray_init.object_store_memory or 0)
    return (22 * facts.num_parameters + logits + store) / _GIB + _CPU_PROCESSES_GIB


def _notes(config: DictConfig, facts: ModelFacts | None) -> Iterator[str]:
    if config.trainer.device == "cuda" and gpu_total_gib() is None:
        yield "no CUDA device here: GPU memory and kernels were not checked"
    path = str(config.actor_rollout_ref.model.path)
    if facts is not None and not facts.num_parameters and not is_local(path):
        yield f"{path} is not in the local Hugging Face cache: it will be downloaded"


def _prompt_notes(config: DictConfig, mint: MintConfig) -> Iterator[str]:
    card = Path(str(config.data.train_files)).with_name("card.json")
    if card.is_file():
        values = json.loads(card.read_text(encoding="utf-8"))
        note = length_note(values, mint.reward.length_target_tokens)
        if note is not None:
            yield note


def _facts(config: DictConfig, mint: MintConfig, facts: ModelFacts | None) -> Iterator[str]:
    n = int(config.actor_rollout_ref.rollout.n)
    prompts = int(config.data.train_batch_size)
    yield f"model      {config.actor_rollout_ref.model.path}" + (
        f" ({facts.num_parameters / 1e6:.1f}M parameters)" if facts and facts.num_parameters else ""
    )
    yield f"batch      {prompts} prompts x {n} replies = {prompts * n} a step"
    yield (
        f"lengths    prompt <= {config.data.max_prompt_length}, reply <= "
        f"{config.data.max_response_length} tokens"
    )
    if mint.validation.every_steps is not None:
        yield f"validation every {mint.validation.every_steps} steps and at the end"
    if facts and facts.num_parameters and config.trainer.device == "cpu":
        yield f"memory     about {cpu_memory_gib(config, facts):.1f} GiB"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
