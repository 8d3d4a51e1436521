"""Words that verl 0.9.1 knows where it takes one of several; another fails in it after minutes."""

from __future__ import annotations

from mint.config.rules import Rule, one_of
from mint.training.on_policy import LOSS

ADVANTAGES = (
    *("gae", "grpo", "grpo_vectorized", "grpo_passk", "gdpo", "rloo", "rloo_vectorized", "opo"),
    *("gpg", "remax", "reinforce_plus_plus", "reinforce_plus_plus_baseline"),
    *("optimal_token_baseline", "tir_optimal_token_baseline"),
)
OWN_LOSSES = (LOSS, "token_entropy")
"""Those that `mint.verl` registers."""
LOSSES = (
    *("vanilla", "bypass_mode", "cispo", "clip_cov", "dppo_kl", "dppo_tv", "dro", "geo_mean"),
    *("gpg", "gspo", "kl_cov", "sapo"),
)
MEANS = (
    *("token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean"),
    "seq-mean-token-sum-norm",
)
DISTANCES = ("kl", "k1", "abs", "mse", "k2", "low_var_kl", "k3")
_PLUS = tuple(f"{name}+" for name in DISTANCES)
"""The same value with the gradient of k2."""

_ENGINES = one_of("fsdp", "fsdp2")
"""Those that mint's engine is for."""
WORDS: dict[str, Rule] = {
    "algorithm.adv_estimator": one_of(*ADVANTAGES),
    "actor_rollout_ref.actor.strategy": _ENGINES,
    "actor_rollout_ref.ref.strategy": _ENGINES,
    "critic.strategy": _ENGINES,
    "actor_rollout_ref.actor.policy_loss.loss_mode": one_of(*OWN_LOSSES, *LOSSES),
    "actor_rollout_ref.actor.loss_agg_mode": one_of(*MEANS),
    "actor_rollout_ref.actor.kl_loss_type": one_of(*DISTANCES, *_PLUS),
    "actor_rollout_ref.actor.optim.lr_scheduler_type": one_of("constant", "cosine"),
    "actor_rollout_ref.rollout.name": one_of("vllm"),
    "actor_rollout_ref.rollout.mode": one_of("async"),
}
"""Key -> what it may say."""
