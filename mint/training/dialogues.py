"""What a run of mint.task=dialogues needs besides: checks, verl's keys, validation prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from omegaconf import DictConfig

from mint.config.prompts import PromptConfig, PromptStyle
from mint.config.schema import MintConfig
from mint.config.validation import ValidationConfig
from mint.dialogue.people import SOURCE, read_people_rows, write_rows
from mint.dialogue.presets import get_preset
from mint.planning.settings import has_critic
from mint.policy.model_files import local_files
from mint.shell.files import read_json
from mint.validation import prompts
from rewards.errors import ConfigError
from rewards.protocols import TacticTagger

_MANAGER = "DialogueRewardManager"
TAKES_BACK = frozenset({"glm4_moe", "glm_moe_dsa", "glm4v", "glm4v_moe"})
"""`model_type` of those that end a reply with the first token of the next message (GLM)."""
_MESSAGE_TOKENS, _FRAME_TOKENS = 60, 10
"""A long message of a seeker, and what a chat template puts around a message."""


def check(config: DictConfig, mint: MintConfig) -> None:
    """Raise ConfigError for the first setting that dialogues cannot be trained with."""
    _check_layer(config)
    _check_model(str(config.actor_rollout_ref.model.path))
    _check_thinking(mint)
    _check_limits(mint)
    _check_seekers(mint)
    if mint.data.style == PromptStyle.TACTICS_HISTORY:
        raise ConfigError(
            "mint.data.style=tactics_history: the system prompt of a dialogue is written once, at "
            "its start; use mint.data.style=plain or tactics"
        )
    estimator = str(config.algorithm.adv_estimator)
    if estimator not in ("grpo", "gae"):
        raise ConfigError(f"algorithm.adv_estimator={estimator}: dialogues know grpo and gae")
    if config.algorithm.use_kl_in_reward and estimator == "grpo":
        raise ConfigError(
            "algorithm.use_kl_in_reward=true: with grpo the turns of dialogues get mint's own "
            "advantages, which know no KL; use actor_rollout_ref.actor.use_kl_loss=true"
        )
    _check_critic(config, mint)
    room, reply = int(config.data.max_response_length), mint.dialogue.turn_tokens
    if room <= reply:
        raise ConfigError(
            f"data.max_response_length={room} holds a whole dialogue and must be more than one "
            f"reply, mint.dialogue.turn_tokens={reply}"
        )


def _check_critic(config: DictConfig, mint: MintConfig) -> None:
    """A critic sees rewards of turns alone: what compares siblings is for groups."""
    if not has_critic(config):
        return
    if mint.credit.credit not in ("terminal", "return"):
        raise ConfigError(
            f"mint.credit.credit={mint.credit.credit} compares siblings, which a critic does not "
            "(algorithm.adv_estimator=gae); use terminal or return"
        )
    if str(config.algorithm.adv_estimator) != "gae":
        raise ConfigError(
            "critic.enable=true: only algorithm.adv_estimator=gae reads a critic in a run of "
            "dialogues"
        )


def notes(config: DictConfig, mint: MintConfig) -> Iterator[str]:
    """What is worth knowing before a run of dialogues."""
    if has_critic(config) and float(config.algorithm.gamma) * float(config.algorithm.lam) < 0.999:
        yield (
            f"algorithm.gamma={config.algorithm.gamma} and lam={config.algorithm.lam} forget by "
            "the token: of what a later turn earns little reaches an earlier one; use 1 and 1"
        )
    rules, room = mint.dialogue, int(config.data.max_response_length)
    message = _MESSAGE_TOKENS + _FRAME_TOKENS
    needed = rules.max_turns * rules.turn_tokens + (rules.max_turns - 1) * message
    if room < needed:
        yield (
            f"data.max_response_length={room} may end dialogues early: mint.dialogue.max_turns="
            f"{rules.max_turns} replies of {rules.turn_tokens} tokens with messages of "
            f"{_MESSAGE_TOKENS} between them take {needed}"
        )


def prompt_writer(task: str) -> Callable[..., tuple[int, int]]:
    """What writes the validation file of a task."""
    return write_prompts if task == "dialogues" else prompts.write_prompts


def write_prompts(
    path: Path,
    held_out: str | Path,
    settings: ValidationConfig,
    style: PromptConfig,
    tagger: TacticTagger,
) -> tuple[int, int]:
    """Write the validation file; returns how many people and probes it has."""
    people = read_people_rows(held_out)[: settings.max_conversations]
    items = prompts.chosen_probes(settings.probes_per_category)
    probes = prompts.probe_rows(path.with_name("probes.journal.jsonl"), items, style, tagger)
    write_rows(path, [*people, *probes])
    return len(people), len(probes)


def check_task(config: DictConfig, mint: MintConfig) -> None:
    """`check` of a run on conversations, `check_unused` of any other."""
    if mint.task == "dialogues":
        check(config, mint)
    else:
        check_unused(mint)


def check_unused(mint: MintConfig) -> None:
    """Raise ConfigError for settings of conversations in a run that has none: they would change
    nothing, silently."""
    default = MintConfig()
    for name in ("dialogue", "credit", "curriculum", "second_seeker"):
        if getattr(mint, name) != getattr(default, name):
            raise ConfigError(
                f"mint.{name}.* is set, but only conversations have it, and this run has "
                f"mint.task={mint.task}; take a recipe for conversations (rlver_*, mint_rlver_4b) "
                "or leave it out"
            )


def _check_layer(config: DictConfig) -> None:
    wanted = {
        "actor_rollout_ref.rollout.agent.default_agent_loop": (
            config.actor_rollout_ref.rollout.agent.default_agent_loop,
            SOURCE,
        ),
        "reward.reward_manager.name": (config.reward.reward_manager.name, _MANAGER),
        "actor_rollout_ref.rollout.agent.num_workers": (
            config.actor_rollout_ref.rollout.agent.num_workers,
            1,
        ),
    }
    for key, (value, needed) in wanted.items():
        if value != needed:
            raise ConfigError(
                f"{key}={value}: mint.task=dialogues needs {needed}; take a recipe on the layer "
                "dialogues"
            )


def _check_model(path: str) -> None:
    """Of a model that is on this machine."""
    folder = local_files(path)
    if folder is None:
        return
    kind = read_json(folder / "config.json").get("model_type")
    if kind in TAKES_BACK:
        raise ConfigError(
            f"actor_rollout_ref.model.path={path} is a {kind}: between messages verl takes back "
            "tokens that models of this family have sampled, so dialogues cannot be trained with "
            f"it; nor with {', '.join(sorted(TAKES_BACK - {kind}))}"
        )


def _check_thinking(mint: MintConfig) -> None:
    thinking, enabled = mint.dialogue.thinking, mint.data.enable_thinking
    if thinking == "drop":
        raise ConfigError(
            "mint.dialogue.thinking=drop cannot be trained: a row holds a whole dialogue, earlier "
            "thoughts included; use keep (all thoughts stay) or none"
        )
    if enabled != (thinking == "keep"):
        raise ConfigError(
            f"mint.data.enable_thinking={str(enabled).lower()} does not go with "
            f"mint.dialogue.thinking={thinking}; set both (none and false, keep and true)"
        )


def _check_seekers(mint: MintConfig) -> None:
    """What would be told late otherwise, when a seeker is made or a stage begins."""
    first, second = mint.seeker, mint.second_seeker
    stages = [
        (name, "mint.curriculum.stages") for s in mint.curriculum.stages for name in s.presets
    ]
    for one in (first, second):
        if one.kind in ("custom", "none"):
            continue
        for name, key in [(one.preset, f"{one.where}.preset"), *(stages if one is first else ())]:
            if get_preset(name, key).presses and one.kind == "drift":
                raise ConfigError(f"{key}={name}: a drift seeker cannot press; take kind=rule")
    alike = first.kind == second.kind and first.preset == second.preset
    if alike and first.served == second.served and first.factory == second.factory:
        raise ConfigError(
            f"mint.second_seeker.kind={second.kind} is the seeker that training is with "
            "(mint.seeker); the second one must be another: rule, drift, served, custom or none"
        )


def _check_limits(mint: MintConfig) -> None:
    """Each wait must fit into the next larger one, or the smaller limit never counts."""
    rules = mint.dialogue
    chain = [
        ("mint.dialogue.seeker_timeout_s", rules.seeker_timeout_s),
        ("mint.dialogue.dialogue_timeout_s", rules.dialogue_timeout_s),
        ("mint.run.step_timeout_s", mint.run.step_timeout_s),
    ]
    if mint.seeker.kind == "served":
        served = mint.seeker.served
        asked = 2 * (1 + served.parse_retries)
        told = f"{asked} requests of mint.seeker.served"
        chain.insert(0, (told, asked * served.longest_s))
    if any(first[1] >= second[1] for first, second in pairwise(chain)):
        told = " < ".join(f"{name} ({seconds:g} s)" for name, seconds in chain)
        raise ConfigError(f"limits must nest: {told} does not hold")
