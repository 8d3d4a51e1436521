"""Checks before anything starts: settings, model, data, then this machine. No verl, no Ray.

Every problem is a one-line ConfigError; what cannot be known here (no weights yet) is a note.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from mint.config.prompts import PromptConfig, PromptStyle, length_note, persona_of_card
from mint.config.schema import MintConfig
from mint.data.dataset import CARD
from mint.machine.facts import Machine, read_machine
from mint.machine.packages import CPU, GPU, mismatches, package_version
from mint.planning import render
from mint.planning.lengths import Lengths
from mint.planning.plan import Plan
from mint.planning.settings import has_critic
from mint.policy.chat import local_tokenizer, refuses_system
from mint.policy.model_files import (
    ModelFacts,
    is_local,
    model_config,
    model_facts,
    model_folder,
)
from mint.policy.sharing import why_not_shared
from mint.policy.tuned import check_tuned
from mint.shell.cli import nearest
from mint.shell.files import read_json_if_there
from mint.training import dialogues
from mint.training.machine_checks import check_bucket, check_machine
from mint.training.material import DATA, POLICY
from mint.training.on_policy import check_on_policy
from mint.training.trainer_keys import check_trainer_keys
from mint.validation.measure import check_validation
from rewards.errors import ConfigError


class Report(NamedTuple):
    """What preflight found besides problems (which raise)."""

    facts: list[str]
    notes: list[str]
    prompts_fit: bool = False
    """All prompts were counted and fit, so that nothing is left to filter."""


def check(config: DictConfig, mint: MintConfig, missing: Collection[str] = frozenset()) -> Report:
    """Raise ConfigError for the first problem; return facts and notes otherwise.

    `missing` names the material (`mint.training.material`) that the run itself will build.
    """
    check_trainer_keys(config, mint)
    check_batches(config)
    dialogues.check_task(config, mint)
    check_on_policy(config)
    check_validation(config.trainer, mint.validation)
    check_engine_arguments(config)
    path, facts = str(config.actor_rollout_ref.model.path), None
    if POLICY not in missing:
        facts = model_facts(path)
        model_folder("actor_rollout_ref.model.path", path)
        if has_critic(config):
            check_critic(config)
        check_template(config)
        check_tuning(config, mint)
    if DATA not in missing:
        check_data(config, mint)
    machine = read_machine()
    if facts is not None:
        check_bucket(config, facts, machine.shm_free_gib)
        check_scores(config)
    plan = check_machine(config, mint, machine)
    check_prompts(config, plan.lengths)
    return Report(
        render.text(plan, str(config.actor_rollout_ref.model.path)),
        list(_notes(config, mint, facts, machine, plan)),
        plan.lengths.all_fit and not _other_tokenizer(config),
    )


def _other_tokenizer(config: DictConfig) -> bool:
    """Whether verl counts with another tokenizer or template than the model's own."""
    model = config.actor_rollout_ref.model
    return bool(model.get("tokenizer_path") or model.get("custom_chat_template"))


def check_batches(config: DictConfig) -> None:
    """Sizes that verl would trip over minutes later, or round silently."""
    prompts, n = int(config.data.train_batch_size), int(config.actor_rollout_ref.rollout.n)
    mini = int(config.actor_rollout_ref.actor.ppo_mini_batch_size)
    ranks = int(config.trainer.n_gpus_per_node) * int(config.trainer.nnodes)
    if n < 2 and str(config.algorithm.adv_estimator) != "gae":
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


def check_critic(config: DictConfig) -> None:
    """The critic's model is there, and it can hold the sequences of a batch."""
    path = str(config.critic.model.path)
    if str(config.actor_rollout_ref.model.path) != path:
        model_folder("critic.model.path", path)
        model_facts(path)
    total = int(config.data.max_prompt_length) + int(config.data.max_response_length)
    key = "critic.ppo_infer_max_token_len_per_gpu"
    most = OmegaConf.select(config, key)
    if most is not None and int(most) < total:
        raise ConfigError(
            f"{key} must hold one whole sequence: got {most}, data.max_prompt_length + "
            f"data.max_response_length = {total}"
        )


def check_scores(config: DictConfig) -> None:
    """verl's fused log-probabilities leave a model's cap on its scores out."""
    model = config.actor_rollout_ref.model
    cap = (model_config(str(model.path)) or {}).get("final_logit_softcapping")
    if cap and model.use_fused_kernels:
        raise ConfigError(
            f"{model.path} caps its scores (final_logit_softcapping={cap}), which fused kernels "
            "leave out; set actor_rollout_ref.model.use_fused_kernels=false"
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
        style = "" if mint.data.style == PromptConfig.style else f" style={mint.data.style}"
        if not path.is_file():
            raise ConfigError(
                f"data.{key}: {path} does not exist; write it with `python -m mint.prepare "
                f"input=CONVERSATIONS.json output={mint.data.dir}{style}`, or set mint.data.dir"
            )
        rows = pq.ParquetFile(path).metadata.num_rows
        if rows < needed:
            raise ConfigError(
                f"{path} has {rows} rows, data.train_batch_size={needed} needs at least {needed}"
            )
    card = data_card(config)
    known = {**card, "persona": persona_of_card(card)} if card else {}
    for name, made_with in known.items():
        if name in ("style", "compact", "persona") and made_with != getattr(mint.data, name):
            raise ConfigError(
                f"{Path(str(config.data.train_files)).parent} was prepared with {name}={made_with},"
                f" the run says mint.data.{name}={getattr(mint.data, name)}; prepare it again or "
                "change the key"
            )


def data_card(config: DictConfig) -> dict[str, Any]:
    """What `python -m mint.prepare` noted of the training data; {} for data without a card."""
    return read_json_if_there(Path(str(config.data.train_files)).with_name(CARD)) or {}


def check_template(config: DictConfig) -> None:
    """The policy's chat template takes the system message of every training prompt."""
    path = str(config.actor_rollout_ref.model.path)
    if config.actor_rollout_ref.model.custom_chat_template is not None:
        return
    tokenizer = local_tokenizer(path)
    said = None if tokenizer is None else refuses_system(tokenizer)
    if said is not None:
        raise ConfigError(
            f"the chat template of actor_rollout_ref.model.path={path} takes no system message "
            f"({said}), and every training prompt begins with one; give a template that does in "
            "actor_rollout_ref.model.custom_chat_template"
        )


def check_tuning(config: DictConfig, mint: MintConfig) -> None:
    """A policy that mint has tuned goes on with the prompts and the template it was tuned with."""
    path, template = str(config.actor_rollout_ref.model.path), None
    if (tokenizer := local_tokenizer(path)) is not None:
        template = config.actor_rollout_ref.model.custom_chat_template or tokenizer.chat_template
    check_tuned(
        path,
        style=PromptStyle(mint.data.style),
        compact=mint.data.compact,
        enable_thinking=mint.data.enable_thinking,
        template=template,
    )


def check_prompts(config: DictConfig, lengths: Lengths) -> None:
    """Enough prompts are left by the length filter for a batch."""
    needed = int(config.data.train_batch_size)
    if lengths.kept is None or lengths.rows is None:
        return
    if lengths.kept < lengths.rows and not config.data.filter_overlong_prompts:
        raise ConfigError(
            f"{lengths.rows - lengths.kept} of {lengths.rows} prompts of {config.data.train_files} "
            f"are longer than data.max_prompt_length={config.data.max_prompt_length} and would be "
            "cut from the left, their instructions first; set data.filter_overlong_prompts=true"
        )
    if lengths.kept >= needed:
        return
    raise ConfigError(
        f"{lengths.kept} of {lengths.rows} prompts of {config.data.train_files} fit into "
        f"data.max_prompt_length={config.data.max_prompt_length} (the longest has "
        f"{lengths.longest} tokens), a batch needs data.train_batch_size={needed}; raise "
        "data.max_prompt_length, or prepare the data with compact=true"
    )


def _notes(
    config: DictConfig,
    mint: MintConfig,
    facts: ModelFacts | None,
    machine: Machine,
    plan: Plan,
) -> Iterator[str]:
    path = str(config.actor_rollout_ref.model.path)
    if facts is not None and not facts.num_parameters and not is_local(path):
        yield f"{path} is not in the local Hugging Face cache: it will be downloaded"
    content = model_config(path) if facts is not None else None
    actor = config.actor_rollout_ref
    unshared = (
        None
        if content is None
        else why_not_shared(
            content,
            actor.model.override_config.attn_implementation,
            int(actor.actor.fsdp_config.ulysses_sequence_parallel_size),
        )
    )
    if unshared is not None:
        yield f"prompts are computed once a reply, not once a group: {unshared}"
    if plan.model is None:
        yield f"nothing says the shape of {path}: memory, disk and time were not checked"
    elif plan.run.cluster is not None:
        yield "the run joins a Ray cluster: devices, memory and cores were not checked"
    for miss in mismatches(CPU if plan.run.cpu else GPU, machine.versions):
        yield f"untested version: {miss.words()}"
    for cluster in machine.clusters:
        yield f"a Ray cluster of {cluster.user} runs on this machine (process {cluster.pid})"
    if mint.task == "dialogues":
        yield from dialogues.notes(config, mint)
    length = length_note(data_card(config), mint.reward.length_target_tokens)
    if length is not None:
        yield length
