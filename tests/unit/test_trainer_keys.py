"""Settings of verl with which a run would start and then be lost: one line before anything does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from mint.config import compose, recipes
from mint.config.schema import mint_config
from mint.training import trainer_keys
from mint.training.trainer_keys import check_loggers, check_trainer_keys
from rewards.errors import ConfigError


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    recipes.register(recipes.find_recipes())
    return compose.compose_config(["+recipe=mint_4b"])


@pytest.fixture
def config(composed: DictConfig) -> DictConfig:
    return composed.copy()


def check(config: DictConfig, **changes: Any) -> None:
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value)
    check_trainer_keys(config, mint_config(config))


@pytest.mark.slow
def test_the_recipe_passes(config: DictConfig) -> None:
    check(config)
    check(config, trainer__total_training_steps=None, trainer__max_actor_ckpt_to_keep=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("trainer.total_training_steps", 0, "must be a whole number >= 1 or null, got 0"),
        ("trainer.total_training_steps", -3, "must be a whole number >= 1 or null, got -3"),
        ("trainer.total_training_steps", 2.5, "got 2.5"),
        ("trainer.total_training_steps", "ten", "got 'ten'"),
        ("trainer.total_epochs", None, "must be a whole number >= 1, got None"),
        ("trainer.total_epochs", True, "got True"),
        ("trainer.nnodes", 0, "got 0"),
        ("data.train_batch_size", None, "got None"),
        ("actor_rollout_ref.actor.optim.lr", "fast", "must be > 0, got 'fast'"),
        ("actor_rollout_ref.actor.optim.lr", -1e-6, "must be > 0, got -1e-06"),
        ("actor_rollout_ref.actor.optim.lr", 0.0, "must be > 0, got 0.0"),
        ("actor_rollout_ref.actor.optim.lr", float("nan"), "must be > 0, got nan"),
        ("actor_rollout_ref.actor.optim.lr", float("inf"), "must be > 0, got inf"),
        ("actor_rollout_ref.actor.kl_loss_coef", -0.1, "must be >= 0, got -0.1"),
        ("actor_rollout_ref.rollout.temperature", 0, "must be > 0, got 0"),
        ("actor_rollout_ref.rollout.top_p", 1.5, "must be in (0, 1], got 1.5"),
        ("actor_rollout_ref.rollout.gpu_memory_utilization", 2, "must be in (0, 1], got 2"),
        ("actor_rollout_ref.rollout.tensor_model_parallel_size", 0, "got 0"),
        ("actor_rollout_ref.rollout.name", "sglang", "must be one of vllm, got 'sglang'"),
        ("algorithm.adv_estimator", "gea", "must be one of gae, grpo, "),
        ("actor_rollout_ref.actor.strategy", "fsdp3", "must be one of fsdp, fsdp2, got 'fsdp3'"),
        ("actor_rollout_ref.actor.kl_loss_type", "k4", "low_var_kl, k3, kl+"),
        ("actor_rollout_ref.actor.loss_agg_mode", "mean", "must be one of token-mean, "),
        ("actor_rollout_ref.actor.policy_loss.loss_mode", "ppo", "one of mint_on_policy, token_en"),
        ("actor_rollout_ref.actor.optim.lr_scheduler_type", "linear", "one of constant, cosine"),
    ],
)
def test_values_that_verl_fails_on_later(
    config: DictConfig, key: str, value: Any, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        check(config, **{key.replace(".", "__"): value})
    assert str(error.value).startswith(f"{key} must be")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("every", [0, -1, None])
def test_a_run_that_never_saves_is_refused(config: DictConfig, every: int | None) -> None:
    OmegaConf.update(config, "mint.validation.every_steps", None)
    with pytest.raises(ConfigError, match=rf"save_freq={every}: nothing would ever be saved"):
        check(config, trainer__save_freq=every)
    if every is not None:
        check(config, trainer__save_freq=every, mint__validation__every_steps=5)


@pytest.mark.slow
def test_checkpoints_that_nobody_would_find_are_refused(config: DictConfig) -> None:
    check(config, mint__run__dir="/runs/one")
    with pytest.raises(ConfigError, match=r"kept in the run directory, /runs/one/checkpoints"):
        check(config, trainer__default_local_dir="/elsewhere")
    with pytest.raises(ConfigError, match="does not say which checkpoint is whole"):
        check(
            config,
            trainer__default_local_dir="/runs/one/checkpoints",
            actor_rollout_ref__actor__checkpoint__async_save=True,
        )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["wandbb"], "there is no logger 'wandbb'; did you mean 'wandb'?"),
        ("wandb", r"must be a list such as \[wandb\], got 'wandb'"),
        (["console", 3], "there is no logger 3"),
        (["mlflow"], "the package mlflow is not installed"),
        (None, "must be a list"),
    ],
)
def test_loggers_that_cannot_log(names: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_loggers(names, {})


@pytest.mark.slow
def test_a_logger_that_would_ask_who_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_keys.importlib.util, "find_spec", lambda name: object())
    nobody = {"NETRC": str(tmp_path / "netrc")}
    with pytest.raises(ConfigError, match=r"\[wandb\]: nobody is logged in.*`wandb login`"):
        check_loggers(["console", "wandb"], nobody)
    with pytest.raises(ConfigError, match="VOLC_ACCESS_KEY_ID and VOLC_SECRET_ACCESS_KEY"):
        check_loggers(["vemlp_wandb"], nobody)
    check_loggers(["wandb"], {**nobody, "WANDB_API_KEY": "x"})
    check_loggers(["wandb"], {**nobody, "WANDB_MODE": "offline"})
    check_loggers(["swanlab"], {**nobody, "SWANLAB_MODE": "local"})
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password key\n")
    check_loggers(["wandb"], nobody)
    own = {**nobody, "WANDB_BASE_URL": "https://wandb.mine.org"}
    with pytest.raises(ConfigError, match="nobody is logged in"):
        check_loggers(["wandb"], own)
    (tmp_path / "netrc").write_text("machine wandb.mine.org login user password key\n")
    check_loggers(["wandb"], own)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("actor_rollout_ref.actor.optim.lr=fast", "optim.lr must be a number, got 'fast' (on the"),
        ("trainer.save_freq=often", "trainer.save_freq must be a number, got 'often'"),
        ("actor_rollout_ref.actor.clip_ratio=nan", "clip_ratio must be a number, got nan"),
        ("actor_rollout_ref.actor.use_kl_loss=maybe", "use_kl_loss must be true or false, got"),
        ("trainer.nnodes=true", "trainer.nnodes must be a number, got True"),
    ],
)
def test_words_for_numbers_and_switches_of_verl(override: str, message: str) -> None:
    recipes.register(recipes.find_recipes())
    with pytest.raises(ConfigError) as error:
        compose.compose_config(["+recipe=mint_4b", override])
    assert message in str(error.value)


QWEN3_4B = 4_022_468_096
