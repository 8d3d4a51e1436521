"""verl's step metrics under mint's names, with units; what verl did not measure is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# mint key -> verl key. Keys of mint's own (reward/, group/, grader/, ...) pass through.
_VERL_KEYS = {
    "time/step_s": "timing_s/step",
    "time/generate_s": "timing_s/gen",
    "time/old_log_prob_s": "timing_s/old_log_prob",
    "time/ref_s": "timing_s/ref",
    "time/advantage_s": "timing_s/adv",
    "time/update_s": "timing_s/update_actor",
    "time/push_s": "timing_s/update_weights",
    "time/checkpoint_s": "timing_s/save_checkpoint",
    "time/validate_s": "timing_s/testing",
    "policy/loss": "actor/pg_loss",
    "policy/kl_loss": "actor/kl_loss",
    "policy/kl": "actor/ppo_kl",
    "policy/entropy": "actor/entropy",
    "policy/grad_norm": "actor/grad_norm",
    "policy/lr": "actor/lr",
    "policy/clip_frac": "actor/pg_clipfrac",
    "policy/log_prob_pearson": "training/rollout_actor_probs_pearson_corr",
    "policy/log_ppl_abs_diff": "rollout_corr/log_ppl_abs_diff",
    "policy/probs_diff_mean": "training/rollout_probs_diff_mean",
    "reply/response_tokens/mean": "response_length/mean",
    "prompt/num_tokens/mean": "prompt_length/mean",
    "prompt/num_tokens/max": "prompt_length/max",
    # Each worker's metrics come with the name of its role before them.
    "memory/trainer_gb": "actor/perf/max_memory_allocated_gb",
    "memory/trainer_reserved_gb": "actor/perf/max_memory_reserved_gb",
    "memory/host_gb": "actor/perf/cpu_memory_used_gb",
    "throughput/mfu": "perf/mfu/actor",
    "train/epoch": "training/epoch",
}
_OWN = (
    "reward/",
    "group/",
    "grader/",
    "reply/",
    "tactic/",
    "tactics_per_reply/",
    "time/",
    "collapse/",
    "val/",
)


LOGGED_TWICE = (
    *_VERL_KEYS.values(),
    "perf/time_per_step",
    "critic/score/mean",
    "actor/entropy_loss",
)
"""verl's names of numbers that mint's names say too."""


def translate(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of one step under mint's names."""
    mine = {key: float(value) for key, value in metrics.items() if key.startswith(_OWN)}
    for name, source in _VERL_KEYS.items():
        if source in metrics:
            mine[name] = float(metrics[source])
    seconds = mine.get("time/step_s", 0.0)
    for name, number in (
        ("throughput/tokens_per_s", metrics.get("perf/total_num_tokens")),
        ("throughput/replies_per_s", mine.get("reply/num")),
    ):
        if number is not None and seconds > 0:
            mine[name] = float(number) / seconds
    return mine
