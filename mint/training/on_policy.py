"""Whether a run may do without a pass for old log-probabilities (docs/concepts.md)."""

from __future__ import annotations

from omegaconf import DictConfig

from rewards.errors import ConfigError

LOSS = "mint_on_policy"
"""The loss that needs none: `mint.verl.policy_loss`, which only verl's processes import."""
_BYPASS = "algorithm.rollout_correction.bypass_mode"
_MODE = "actor_rollout_ref.actor.policy_loss.loss_mode"


def check_on_policy(config: DictConfig) -> None:
    """Raise ConfigError for a loss or a skipped pass that this run's updates do not allow."""
    actor = config.actor_rollout_ref.actor
    correction = config.algorithm.rollout_correction
    bypass = correction is not None and bool(correction.bypass_mode)
    own = str(actor.policy_loss.loss_mode) == LOSS
    recompute = f"{_BYPASS}=false"
    if not own and not bypass:
        return
    prompts, mini = int(config.data.train_batch_size), int(actor.ppo_mini_batch_size)
    epochs = int(actor.ppo_epochs)
    if mini != prompts or epochs != 1:
        raise ConfigError(
            f"{_MODE}={actor.policy_loss.loss_mode} with {_BYPASS}={str(bypass).lower()} is right "
            "only while one update follows a batch: got actor_rollout_ref.actor."
            f"ppo_mini_batch_size={mini} of data.train_batch_size={prompts} prompts and "
            f"ppo_epochs={epochs}; make them equal and 1, or set {_MODE}=vanilla {recompute}"
        )
    if bypass and not own:
        raise ConfigError(
            f"{_MODE}={actor.policy_loss.loss_mode} compares with the old policy's "
            f"log-probabilities, which {_BYPASS}=true takes from the rollout; set {recompute}"
        )
    if bypass and not config.actor_rollout_ref.rollout.calculate_log_probs:
        raise ConfigError(
            f"{_BYPASS}=true needs actor_rollout_ref.rollout.calculate_log_probs=true (the "
            f"rollout's log-probabilities), or set {recompute}"
        )
    if bypass and not actor.calculate_entropy:
        raise ConfigError(
            f"{_BYPASS}=true needs actor_rollout_ref.actor.calculate_entropy=true (the collapse "
            f"alarm reads policy/entropy), or set {recompute}"
        )
