"""Memory of one host: offloaded training state, the reference, and the processes."""

from __future__ import annotations

from mint.machine.limits import GIB
from mint.planning.items import Item, billions, kept
from mint.planning.memory import trained
from mint.planning.models import ModelShape
from mint.planning.settings import RunSettings

CPU_PROCESSES_GIB = 8.0
"""A CPU run's processes without the model (docs/planning.md)."""
_RANK_GIB = 4.5
"""A training process with CUDA's libraries (estimate)."""
_ENGINE_GIB = 6.0
"""Server, engine and worker of one vLLM replica (estimate)."""
_WORKER_GIB = 0.9
"""A process that collects replies (measured on a CPU)."""
_OTHERS_GIB = 6.0
"""Ray, task runner, TransferQueue and the reward worker with its encoder (measured on a CPU)."""


def host_items(run: RunSettings, model: ModelShape) -> tuple[Item, ...]:
    """What a run holds on one node, GiB."""
    return _cpu(run, model) if run.cpu else _gpu(run, model)


def _cpu(run: RunSettings, model: ModelShape) -> tuple[Item, ...]:
    count, learned, ranks = model.parameters, trained(run, model), run.ranks
    reference = 0 if run.lora_rank or not run.reference else 4
    # Only reply tokens are scored, and shared prompts leave more room for them. The engine keeps
    # logits and their gradient as it computes (mint.verl.token_scores), verl's own float32 copies.
    group = run.replies if run.shared_prompts else 1
    replies = group * run.max_reply
    tokens = round(run.update_tokens * replies / (run.max_prompt + replies))
    width = run.arithmetic_bytes
    each = 2 * width if run.shared_prompts else 12
    return kept(
        Item(
            "training",
            (4 * count + 12 * learned) / GIB,
            f"4 B x {billions(count)} + 12 B x {billions(learned)} trained: gradients and Adam",
        ),
        Item("reference", reference * count / GIB, f"{reference} B x {billions(count)}"),
        Item("critic", 16 * count / GIB, f"16 B x {billions(count)}") if run.critic else None,
        Item(
            "rollout",
            2 * width * count * ranks / GIB,
            f"plain and packed, {width} B x {billions(count)} x {ranks} ranks each",
        ),
        Item(
            "logits",
            each * tokens * model.vocab * ranks / GIB,
            f"{each} B x {tokens:,} reply tokens x {model.vocab:,} x {ranks} ranks",
        ),
        Item("object store", run.object_store_bytes / GIB, "ray_init.object_store_memory"),
        Item(
            "processes", CPU_PROCESSES_GIB + 4.5 * (ranks - 1), "measured: trainer, vLLM, graders"
        ),
    )


def _gpu(run: RunSettings, model: ModelShape) -> tuple[Item, ...]:
    part = run.ranks_per_node / run.ranks
    count, learned = model.parameters, trained(run, model)
    state = 4 if run.lora_rank else run.actor_bytes
    off = run.offload_policy
    replicas = run.ranks_per_node / run.tensor_parallel
    weights = run.actor_bytes * count * part if run.param_offload or off else 0
    adam = 2 * state * learned * part if run.optimizer_offload or off else 0
    gradients = state * learned * part if off else 0
    reference = 0 if run.lora_rank or not run.reference else run.reference_bytes * count * part
    return kept(
        Item("weights", weights / GIB, f"offloaded: {run.actor_bytes} B x {billions(count)}"),
        Item("gradients", gradients / GIB, f"offloaded: {state} B x {billions(learned)}"),
        Item("Adam", adam / GIB, f"offloaded: {2 * state} B x {billions(learned)}"),
        Item(
            "reference",
            reference / GIB,
            f"{run.reference_bytes} B x {billions(count)}: FSDP2 keeps it here, pinned",
        ),
        Item("critic", 12 * count * part / GIB, f"offloaded: 12 B x {billions(count)}")
        if run.critic and run.critic_offloaded
        else None,
        Item(
            "loading",
            run.actor_bytes * count / GIB,
            f"{run.actor_bytes} B x {billions(count)}: one whole copy while the model is built",
        ),
        Item(
            "processes",
            run.ranks_per_node * _RANK_GIB
            + replicas * _ENGINE_GIB
            + run.reply_workers * _WORKER_GIB
            + _OTHERS_GIB,
            f"{run.ranks_per_node} trainers x {_RANK_GIB} + {replicas:.0f} engines x {_ENGINE_GIB} "
            f"+ {run.reply_workers} reply workers x {_WORKER_GIB} + {_OTHERS_GIB} (estimate)",
        ),
    )
