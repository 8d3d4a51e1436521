"""Checks before anything starts: packages, model, data, batches, memory. No verl, no Ray.

Every problem is a one-line ConfigError; what cannot be known here (no GPU, no weights) is a note.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Collection, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from omegaconf import DictConfig

from mint.config.prompts import length_note
from mint.config.schema import MintConfig
from mint.data.dataset import CARD
from mint.policy.model_files import ModelFacts, is_local, model_facts, model_folder
from mint.rundir.manifest import package_version
from mint.shell.cli import nearest
from mint.shell.files import read_json_if_there
from mint.training.disk import check_disk
from mint.training.material import DATA, POLICY
from mint.training.memory import check_bucket, check_memory, cpu_memory_gib, gpu_total_gib
from mint.training.trainer_keys import check_trainer_keys
from mint.validation.measure import check_validation
from rewards.errors import ConfigError

VERL_VERSION = "0.9.1"


class Report(NamedTuple):
    """What preflight found besides problems (which raise)."""

    facts: list[str]
    notes: list[str]


def check(config: DictConfig, mint: MintConfig, missing: Collection[str] = frozenset()) -> Report:
    """Raise ConfigError for the first problem; return facts and notes otherwise.

    `missing` names the material (`mint.training.material`) that the run itself will build.
    """
    check_trainer_keys(config, mint)
    check_batches(config)
    check_validation(config.trainer, mint.validation)
    check_packages(str(config.trainer.device))
    check_engine_arguments(config)
    path, facts = str(config.actor_rollout_ref.model.path), None
    if POLICY not in missing:
        facts = model_facts(path)
        model_folder("actor_rollout_ref.model.path", path)
    if DATA not in missing:
        check_data(config, mint)
    notes = list(_notes(config, mint, facts))
    if facts is not None:
        check_bucket(config, facts)
        check_memory(config, facts)
        check_disk(config, facts)
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
    verl = package_version("verl")
    if verl != VERL_VERSION:
        raise ConfigError(
            f"mint works with verl {VERL_VERSION}, found {verl or 'none'}; run `make install`, or "
            "`pip install -e .[gpu]` on a GPU machine"
        )
    for package in ("ray", "TransferQueue", "vllm"):
        if package_version(package) is None:
            extra = "; see requirements/vllm-name" if package == "vllm" else ""
            raise ConfigError(f"the package {package} is not installed; run `make install`{extra}")
    if device != "cpu":
        return
    if "+cpu" not in str(package_version("vllm")):
        raise ConfigError(
            f"trainer.device=cpu needs vLLM's CPU build, found vllm {package_version('vllm')}; use "
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
                f"{nearest(str(key), known)} (vLLM {package_version('vllm')} has no such engine "
                "argument)"
            )


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
    card = data_card(config)
    for name in ("style", "compact"):
        wanted = getattr(mint.data, name)
        if name in card and card[name] != wanted:
            raise ConfigError(
                f"{Path(str(config.data.train_files)).parent} was prepared with "
                f"{name}={card[name]}, the run says mint.data.{name}={wanted}; prepare it again or "
                "change the key"
            )


def data_card(config: DictConfig) -> dict[str, Any]:
    """What `python -m mint.prepare` noted of the training data; {} for data without a card."""
    return read_json_if_there(Path(str(config.data.train_files)).with_name(CARD)) or {}


def _notes(config: DictConfig, mint: MintConfig, facts: ModelFacts | None) -> Iterator[str]:
    if config.trainer.device == "cuda" and gpu_total_gib() is None:
        yield "no CUDA device here: GPU memory and kernels were not checked"
    path = str(config.actor_rollout_ref.model.path)
    if facts is not None and not facts.num_parameters and not is_local(path):
        yield f"{path} is not in the local Hugging Face cache: it will be downloaded"
    length = length_note(data_card(config), mint.reward.length_target_tokens)
    if length is not None:
        yield length


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
