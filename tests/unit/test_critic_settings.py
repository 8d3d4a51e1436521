"""What a run with a critic may be told, and what it may not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from omegaconf import DictConfig

from mint.config import compose, recipes
from mint.config.schema import mint_config
from mint.planning.settings import has_critic
from mint.training import dialogues, preflight
from mint.training.trainer_keys import check_trainer_keys
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow


@cache
def composed(*overrides: str) -> DictConfig:
    recipes.register(recipes.find_recipes())
    return compose.compose_config(overrides)


def test_the_layer_gives_the_critic_the_policys_ways() -> None:
    config = composed("+recipe=rlver_tiny_ppo")
    critic, policy = config.critic, config.actor_rollout_ref
    assert has_critic(config)
    assert not has_critic(composed("+recipe=rlver_tiny"))
    assert critic.model.path == policy.model.path
    assert critic.model.override_config.attn_implementation == "sdpa"
    assert not critic.model.use_remove_padding
    assert critic.ppo_infer_max_token_len_per_gpu == policy.actor.ppo_max_token_len_per_gpu
    assert (config.algorithm.gamma, config.algorithm.lam) == (1.0, 1.0)
    large = composed("+recipe=rlver_7b_ppo", "+hardware=h100_1")
    assert large.critic.model.override_config.attn_implementation == "mint_packed_causal"
    assert (
        large.critic.fsdp.param_offload == large.actor_rollout_ref.actor.fsdp_config.param_offload
    )
    assert large.critic.optim.override_optimizer_config.fused


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("critic.ppo_max_token_len_per_gpu=4096", "use critic.ppo_infer_max_token_len_per_gpu"),
        ("critic.ppo_micro_batch_size_per_gpu=2", "use critic.ppo_infer_max_token_len_per_gpu"),
        ("critic.forward_max_token_len_per_gpu=4096", "critic.ppo_infer_max_token_len_per_gpu"),
        ("critic.use_dynamic_bsz=false", "use critic.ppo_infer_max_token_len_per_gpu"),
        ("critic.model.external_lib=mint.verl.critic", "never imports it"),
        ("+critic.model.override_confg.x=1", "did you mean 'critic.model.override_config'"),
    ],
)
def test_keys_without_effect_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        composed("+recipe=rlver_tiny_ppo", override)


def test_one_dialogue_a_person_needs_a_critic() -> None:
    preflight.check_batches(composed("+recipe=rlver_tiny_ppo"))
    with pytest.raises(ConfigError, match=r"rollout.n must be >= 2 \(a group needs siblings\)"):
        preflight.check_batches(composed("+recipe=rlver_tiny", "actor_rollout_ref.rollout.n=1"))


def test_a_critic_must_hold_a_whole_sequence_and_be_there(tmp_path: Path) -> None:
    short = composed("+recipe=rlver_tiny_ppo", "critic.ppo_infer_max_token_len_per_gpu=100")
    with pytest.raises(ConfigError, match="must hold one whole sequence: got 100"):
        preflight.check_critic(short)
    missing = f"critic.model.path={tmp_path}/nothing"
    with pytest.raises(ConfigError, match=r"critic\.model\.path"):
        preflight.check_critic(composed("+recipe=rlver_tiny_ppo", missing))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["mint.credit.credit=mixed"], "compares siblings, which a critic does not"),
        (["mint.credit.credit=immediate"], "use terminal or return"),
        (["algorithm.adv_estimator=grpo", "critic.enable=true"], "critic.enable=true: only"),
    ],
)
def test_credit_that_a_critic_cannot_give_is_refused(overrides: list[str], message: str) -> None:
    config = composed("+recipe=rlver_tiny_ppo", *overrides)
    with pytest.raises(ConfigError, match=message):
        dialogues.check(config, mint_config(config))


def test_forgetting_by_the_token_is_said() -> None:
    config = composed("+recipe=rlver_tiny_ppo", "algorithm.lam=0.95")
    dialogues.check(config, mint_config(config))
    assert any(
        "forget by the token" in note for note in dialogues.notes(config, mint_config(config))
    )
    for key in ("algorithm.lam=1.5", "algorithm.gamma=0", "critic.optim.lr=0"):
        config = composed("+recipe=rlver_tiny_ppo", key)
        with pytest.raises(ConfigError, match=key.partition("=")[0]):
            check_trainer_keys(config, mint_config(config))


def test_credit_and_curriculum_come_from_a_recipe() -> None:
    mint = mint_config(
        composed(
            "+recipe=rlver_tiny",
            "mint.credit.reply=0.5",
            "mint.credit.unfit=[self_disclosure,advice]",
            "mint.curriculum.stages=[{from_step: 1, presets: {rlver_train: 1}}]",
        )
    )
    assert mint.credit.unfit == ("self_disclosure", "advice")
    assert mint.curriculum.stages[0].presets == {"rlver_train": 1.0}
