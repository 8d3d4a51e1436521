"""What a command line changes in the configuration of a run that goes on.

The run's own configuration counts, whatever recipes say by now; of the command line only the keys
that are typed, and what follows from them by interpolation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from mint.config import compose
from rewards.errors import ConfigError

RUN_DIR, RESUME = "mint.run.dir", "mint.run.resume"
OWN_KEYS = (RUN_DIR, RESUME, "mint.run.allow_changes")
"""How a run is continued; not part of what it is."""
_FSDP = ("param_offload", "optimizer_offload", "offload_policy", "reshard_after_forward")
_ENGINE = (
    "gpu_memory_utilization",
    "max_num_seqs",
    "max_num_batched_tokens",
    "enforce_eager",
    "free_cache_engine",
    "enable_sleep_mode",
    "enable_chunked_prefill",
    "enable_prefix_caching",
    "tensor_model_parallel_size",
    "log_prob_max_token_len_per_gpu",
    "agent.num_workers",
    "checkpoint_engine",
)
FREE = (
    # How long, and when to stop.
    *(f"trainer.{key}" for key in ("total_training_steps", "total_epochs")),
    "mint.validation.patience",
    "mint.collapse",
    # What is kept and where it is told.
    *(f"trainer.{key}" for key in ("logger", "project_name", "experiment_name", "save_freq")),
    "trainer.max_actor_ckpt_to_keep",
    *(f"mint.run.{key}" for key in ("name", "evaluate", "export", "watch")),
    "mint.run.samples_per_step",
    # Patience with machines and servers. Graders are compared by identity besides.
    *(f"mint.run.{key}" for key in ("start_timeout_s", "step_timeout_s", "poll_interval_s")),
    *("mint.grading", "mint.tagger.served", "mint.judge.served"),
    *("trainer.ray_wait_register_center_timeout", "actor_rollout_ref.nccl_timeout"),
    # Memory and machines. Ranks are compared with the checkpoint's besides.
    *("trainer.n_gpus_per_node", "trainer.nnodes", "ray_kwargs", "transfer_queue"),
    *("reward.num_workers", "data.filter_overlong_prompts_workers"),
    *(f"mint.encoder.{key}" for key in ("batch_tokens", "num_threads", "cache_size")),
    "mint.evaluation.batch_size",
    "actor_rollout_ref.actor.ppo_max_token_len_per_gpu",
    "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu",
    *(f"actor_rollout_ref.{part}.fsdp_config.{key}" for part in ("actor", "ref") for key in _FSDP),
    *(f"actor_rollout_ref.rollout.{key}" for key in _ENGINE),
    *(f"critic.fsdp.{key}" for key in _FSDP),
    "critic.ppo_infer_max_token_len_per_gpu",
    "critic.model.enable_gradient_checkpointing",
    "actor_rollout_ref.model.enable_gradient_checkpointing",
    "actor_rollout_ref.model.enable_activation_offload",
)
"""Keys and nodes that may change when a run goes on: none of them is part of the objective, the
data or the policy."""


class Wanted(NamedTuple):
    """What a command line asks of a configuration."""

    default: dict[str, Any]
    """Key -> value where nothing is asked."""
    values: dict[str, Any]
    """Key -> value, of typed keys and of those that follow from them."""
    judged: frozenset[str]
    """Those of them that the user has chosen: not the ones that only follow."""


def wanted(first: Sequence[str], typed: Sequence[str], name: str, folder: str) -> Wanted:
    """What the overrides `typed` now ask for, beside the `first` ones that the run called `name` in
    `folder` was started with. Raises ConfigError for a key that does not exist or a wrong type."""
    if not typed:
        (default,) = _resolved([[]], name, folder)
        return Wanted(default, {}, frozenset())
    overrides = compose.parse_overrides(typed)
    for override in overrides:
        if override.is_delete() or override.is_sweep_override():
            raise ConfigError(f"a run goes on with one value a key; got {override.input_line}")
    keys = {override.key_or_group for override in overrides}
    kept = [o for o in first if o.split("=", 1)[0].lstrip("+~") not in {*keys, *OWN_KEYS}]
    recipe = [o for o in first if o.startswith("+recipe=") and o not in kept]
    try:
        default, before, after = _resolved([[], [*recipe, *kept], [*kept, *typed]], name, folder)
    except ConfigError:
        # The run's recipe may be gone by now; what is typed is judged by itself then.
        default, after = _resolved([[], typed], name, folder)
        before = default
    direct = {key for key in after if any(_is_in(key, node) for node in keys)}
    follow = {key for key in after if key not in before or before[key] != after[key]}
    # A layer, such as +hardware=..., sets keys without their being typed.
    layers = [node for node in keys - {"recipe"} if not any(_is_in(key, node) for key in after)]
    judged = direct | follow if layers else direct
    values = {key: after[key] for key in direct | follow}
    return Wanted(default, values, frozenset(judged))


def _resolved(jobs: Sequence[Sequence[str]], name: str, folder: str) -> list[dict[str, Any]]:
    configs = compose.compose_configs(jobs)
    for config in configs:
        compose.finalise(config, recipe=name, run_dir=folder)
    return [compose.leaves(OmegaConf.to_container(config, resolve=True)) for config in configs]


def apply(then: DictConfig, asked: Wanted) -> tuple[DictConfig, dict[str, tuple[Any, Any]]]:
    """A run's configuration with what is asked of it, and what that changes: key -> (then, now).

    Keys that are newer than the run have their defaults. Raises ConfigError for one that this
    version does not know any more.
    """
    own = OmegaConf.to_container(then, resolve=True)
    config, old = DictConfig(own), compose.leaves(own)
    changes = {
        key: (old.get(key), value)
        for key, value in asked.values.items()
        if key not in OWN_KEYS and not (key in old and _same(old[key], value))
    }
    for key, (_, value) in changes.items():
        OmegaConf.update(config, key, value, merge=False, force_add=True)
    unknown = compose.unknown_keys(old, asked.default)
    if unknown:
        raise ConfigError(
            f"the run's config.yaml has the key {unknown[0]!r}, which this version does not know; "
            "go on with the version that manifest.json names"
        )
    for key, value in compose.missing(asked.default, old).items():
        OmegaConf.update(config, key, value, force_add=True)
    return config, changes


def refused(changes: Mapping[str, tuple[Any, Any]], judged: frozenset[str]) -> list[str]:
    """ "KEY: then -> now" of every chosen change that makes another run of it."""
    return [
        f"{key}: {then} -> {now}"
        for key, (then, now) in sorted(changes.items())
        if key in judged and not _is_free(key)
    ]


def _is_free(key: str) -> bool:
    return any(_is_in(key, free) for free in FREE)


def _is_in(key: str, node: str) -> bool:
    """Whether a key is this one or stands in it."""
    return key == node or key.startswith(f"{node}.")


def _same(then: Any, now: Any) -> bool:
    """Whether two values mean the same; a path may be written in several ways."""
    if isinstance(then, str) and isinstance(now, str) and "/" in then:
        return Path(then).expanduser().resolve() == Path(now).expanduser().resolve()
    return bool(then == now)
