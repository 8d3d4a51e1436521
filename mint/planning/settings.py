"""The settings that the formulas read, taken out of a composed configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mint.config.schema import MintConfig
from mint.policy.sharing import why_set_apart
from rewards.precision import DTYPE_BYTES, resolve_dtype

CPUS_PER_RANK = 3
"""Cores that verl books with each GPU (max_colocate_count of its resource pools)."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Sizes in verl's vocabulary: a prompt has several replies, limits are tokens of one GPU."""

    cpu: bool
    nodes: int
    ranks_per_node: int
    prompts: int
    replies: int
    """Replies of a prompt."""
    mini_batch: int
    """Prompts of an update."""
    passes: int
    """Times that a step goes over its replies."""
    steps: int | None
    epochs: int
    max_prompt: int
    max_reply: int
    thinking: bool

    arithmetic_bytes: int
    """Of the numbers that a CPU computes in, trainer and rollout; 2 on GPUs."""
    actor_bytes: int
    reference_bytes: int
    param_offload: bool
    optimizer_offload: bool
    offload_policy: bool
    reshard: bool
    no_sync: bool
    """Whether gradients are summed up whole before they are shared."""
    fused_optimizer: bool
    lora_rank: int
    checkpointing: bool
    shared_prompts: bool
    """Whether the trainer computes a prompt once for its replies, as far as the settings say it."""
    fused_logits: bool
    reference: bool
    critic: bool
    critic_offloaded: bool
    """Whether its weights and Adam wait on the host."""
    old_pass: bool
    update_tokens: int
    old_tokens: int
    reference_tokens: int

    tensor_parallel: int
    engine_share: float
    engine_sleeps: bool
    graphs: bool
    engine_sequences: int
    engine_tokens: int
    bucket_bytes: int

    save_every: int
    kept: int | None
    keeps_best: bool
    saves_optimizer: bool
    saves_hf: bool
    validate_every: int | None

    queue_units: int
    logical_cores: int | None
    """What Ray is told; None: it counts."""
    object_store_bytes: int
    reply_workers: int
    cluster: str | None
    """Address of the Ray cluster that the run joins; None: it starts its own."""

    tagger: str
    judge: str
    grader_threads: int | None
    evaluated: bool
    evaluation_prompts: int | None
    """At most; None: all that are held out."""
    evaluation_samples: int
    evaluation_tokens: int

    @property
    def ranks(self) -> int:
        """Data-parallel ranks, one a GPU."""
        return self.nodes * self.ranks_per_node

    @property
    def all_replies(self) -> int:
        """Replies of a step."""
        return self.prompts * self.replies

    @property
    def updates(self) -> int:
        """Optimizer steps of a step."""
        return self.passes * (self.prompts // self.mini_batch)


def settings_of(config: DictConfig, mint: MintConfig) -> RunSettings:
    """What the formulas need of a composed configuration."""

    def at(key: str) -> Any:
        return OmegaConf.select(config, key)

    model, actor = config.actor_rollout_ref.model, config.actor_rollout_ref.actor
    rollout, ref = config.actor_rollout_ref.rollout, config.actor_rollout_ref.ref
    fsdp, cpu = actor.fsdp_config, str(config.trainer.device) == "cpu"
    contents = list(actor.checkpoint.save_contents)
    steps, kept = config.trainer.total_training_steps, config.trainer.max_actor_ckpt_to_keep
    address = at("ray_kwargs.ray_init.address")
    cores = at("ray_kwargs.ray_init.num_cpus")
    optimizer = actor.optim.override_optimizer_config or {}
    whole = int(config.data.max_prompt_length) + int(config.data.max_response_length)
    chat = config.data.apply_chat_template_kwargs or {}
    thinks = next(
        (
            value
            for value in (
                chat["enable_thinking"] if "enable_thinking" in chat else None,
                at("mint.data.enable_thinking"),
                at("mint.evaluation.enable_thinking"),
            )
            if value is not None
        ),
        False,
    )
    lora = int(model.lora_rank or 0)
    return RunSettings(
        cpu=cpu,
        nodes=int(config.trainer.nnodes),
        ranks_per_node=int(config.trainer.n_gpus_per_node),
        prompts=int(config.data.train_batch_size),
        replies=int(rollout.n),
        mini_batch=int(actor.ppo_mini_batch_size),
        passes=int(actor.ppo_epochs),
        steps=None if steps is None else int(steps),
        epochs=int(config.trainer.total_epochs),
        max_prompt=int(config.data.max_prompt_length),
        max_reply=int(config.data.max_response_length),
        thinking=bool(thinks),
        arithmetic_bytes=DTYPE_BYTES[resolve_dtype(str(rollout.dtype))] if cpu else 2,
        actor_bytes=DTYPE_BYTES[str(fsdp.model_dtype or "fp32")],
        reference_bytes=DTYPE_BYTES[str(ref.fsdp_config.model_dtype or "bf16")],
        param_offload=bool(fsdp.param_offload),
        optimizer_offload=bool(fsdp.optimizer_offload),
        offload_policy=bool(fsdp.offload_policy),
        reshard=bool(fsdp.reshard_after_forward),
        no_sync=bool(fsdp.use_no_sync_for_gradient_accumulation),
        fused_optimizer=bool(optimizer.get("fused")),
        lora_rank=lora,
        checkpointing=bool(model.enable_gradient_checkpointing),
        shared_prompts=why_set_apart(
            model.override_config.attn_implementation, fsdp.ulysses_sequence_parallel_size
        )
        is None,
        fused_logits=bool(model.use_fused_kernels),
        reference=bool(actor.use_kl_loss or config.algorithm.use_kl_in_reward),
        critic=has_critic(config),
        critic_offloaded=bool(
            at("critic.fsdp.param_offload") and at("critic.fsdp.optimizer_offload")
        ),
        old_pass=not at("algorithm.rollout_correction.bypass_mode"),
        update_tokens=_limit(actor, "ppo_", actor.use_dynamic_bsz, whole),
        old_tokens=_limit(rollout, "log_prob_", rollout.log_prob_use_dynamic_bsz, whole),
        reference_tokens=_limit(ref, "log_prob_", ref.log_prob_use_dynamic_bsz, whole),
        tensor_parallel=int(rollout.tensor_model_parallel_size),
        engine_share=float(rollout.gpu_memory_utilization),
        engine_sleeps=bool(rollout.free_cache_engine),
        graphs=not rollout.enforce_eager,
        engine_sequences=int(rollout.max_num_seqs),
        engine_tokens=int(rollout.max_num_batched_tokens),
        bucket_bytes=int(rollout.checkpoint_engine.update_weights_bucket_megabytes) * 1024**2,
        save_every=int(config.trainer.save_freq),
        kept=None if kept is None else int(kept),
        keeps_best=mint.validation.every_steps is not None and mint.run.export == "best",
        saves_optimizer="optimizer" in contents,
        saves_hf="hf_model" in contents,
        validate_every=mint.validation.every_steps,
        queue_units=int(config.transfer_queue.backend.SimpleStorage.num_data_storage_units),
        logical_cores=None if cores is None else int(cores),
        object_store_bytes=int(at("ray_kwargs.ray_init.object_store_memory") or 0),
        reply_workers=int(rollout.agent.num_workers),
        cluster=None if address in (None, "local") else str(address),
        tagger=mint.tagger.kind,
        judge=mint.judge.kind,
        grader_threads=mint.encoder.num_threads,
        evaluated=mint.run.evaluate,
        evaluation_prompts=mint.evaluation.max_prompts,
        evaluation_samples=mint.evaluation.samples_per_prompt,
        evaluation_tokens=int(mint.evaluation.max_new_tokens),
    )


def has_critic(config: DictConfig) -> bool:
    """Whether a critic is trained (verl's `need_critic`)."""
    asked = OmegaConf.select(config, "critic.enable")
    return str(config.algorithm.adv_estimator) == "gae" if asked is None else bool(asked)


def _limit(node: Any, prefix: str, dynamic: bool, whole: int) -> int:
    """Most tokens of a micro-batch: the limit, or as many whole sequences as it is told."""
    names = {"ppo_": "ppo_max_token_len_per_gpu", "log_prob_": "log_prob_max_token_len_per_gpu"}
    if dynamic:
        return int(node[names[prefix]])
    return int(node[f"{prefix}micro_batch_size_per_gpu"] or 1) * whole
