"""What is special about keys of verl: whom they belong to, which do nothing, which are mint's."""

from __future__ import annotations

# Nodes whose keys belong to another library and are passed on to it unread.
OPEN_NODES = (
    "actor_rollout_ref.rollout.engine_kwargs.vllm",
    "actor_rollout_ref.model.override_config.model_config",
    "actor_rollout_ref.actor.optim.override_optimizer_config",
    "actor_rollout_ref.actor.fsdp_config.mixed_precision",
    "actor_rollout_ref.ref.fsdp_config.mixed_precision",
    "critic.fsdp.mixed_precision",
    "critic.model.override_config",
    "critic.optim.override_optimizer_config",
    "data.apply_chat_template_kwargs",
    "mint.validation.choose",
    "ray_kwargs.ray_init",
)

# Keys that verl reads and its own configuration does not list.
UNLISTED_KEYS = ("critic.ppo_infer_max_token_len_per_gpu",)

_CRITIC_SIZES = (
    "critic.ppo_max_token_len_per_gpu",
    "critic.forward_max_token_len_per_gpu",
    "critic.ppo_micro_batch_size",
    "critic.ppo_micro_batch_size_per_gpu",
    "critic.forward_micro_batch_size",
    "critic.forward_micro_batch_size_per_gpu",
    "critic.use_dynamic_bsz",
)

# Keys verl 0.9.1 accepts and ignores, with what to use instead (verl issues 6710, 7331 and source).
DEAD_KEYS = {
    "custom_reward_function": "reward.custom_reward_function, or mint.tagger / mint.judge",
    "reward_model": "reward.reward_model",
    "sandbox_fusion": "reward.sandbox_fusion",
    "data.truncation": "data.filter_overlong_prompts",
    "actor_rollout_ref.actor.use_torch_compile": "actor_rollout_ref.actor.fsdp_config."
    "use_torch_compile",
    "actor_rollout_ref.actor.use_prefix_grouper": "nothing: the engine never reads it",
    "algorithm.filter_groups.max_num_gen_batches": "algorithm.filter_groups."
    "max_inflight_gen_batches",
    **dict.fromkeys(_CRITIC_SIZES, "critic.ppo_infer_max_token_len_per_gpu"),
    "critic.model.external_lib": "nothing: the critic's process never imports it",
    "trainer.v1.sampler.sampler_kwargs.poll_interval": "mint.run.poll_interval_s",
}

# Keys that verl reads and mint needs as they are, with the reason.
FIXED_KEYS = {
    "trainer.v1.trainer_mode": "group rewards need verl's synchronous mode",
    "trainer.use_v1": "mint's trainer is a V1 trainer",
}

# Keys of verl that follow from mint's, which set more than verl.
FOLLOWING_KEYS = {"data.apply_chat_template_kwargs.enable_thinking": "mint.data.enable_thinking"}
