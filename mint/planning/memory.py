"""Memory of one GPU in each part of a step.

P parameters, T trained ones (P, or LoRA's), R ranks. Activations were fitted to one H100 with
Qwen3-4B's shape (docs/planning.md): a layer of a backward pass, of a forward pass, and what
checkpointing keeps are within 5 % of the peaks measured there.
"""

from __future__ import annotations

from dataclasses import replace

from mint.machine.limits import GIB
from mint.planning.items import Item, Moment, billions, kept
from mint.planning.models import ModelShape
from mint.planning.settings import RunSettings

TRAINER_REST_GIB = 1.8
"""CUDA context and what stays of the training process after offloading (1.3 seen on an H100)."""
SLEEPING_ENGINE_GIB = 2.5
"""Context and graphs that vLLM keeps while it sleeps (estimate)."""
FRAGMENTATION = 0.03
"""Part of the memory that allocators cannot use."""
GRAPHS_GIB = 1.5
"""CUDA graphs of the engine (estimate)."""
_LAYERS_AT_ONCE = 2
"""Layers whose gathered bfloat16 copies exist at once: the one computed and the one prefetched."""
_BACKWARD = 1.2
"""Memory of a layer's backward pass over what its forward pass keeps."""


def gpu_moments(run: RunSettings, model: ModelShape, total_gib: float) -> tuple[Moment, ...]:
    """What one GPU of `total_gib` holds, part by part, in GiB."""
    rest = _rest(run, total_gib)
    awake = 0.0 if run.engine_sleeps else run.engine_share * total_gib
    engine = Item("vLLM", awake, f"awake: {run.engine_share:.0%} of {total_gib:.0f}")
    state, adam = _weights(run, model), _adam(run, model)
    resting = kept(None if run.param_offload else state, None if run.optimizer_offload else adam)
    moments = [
        _rollout(run, total_gib, resting),
        Moment("weight push", kept(state, *_push(run, model), adam_kept(run, adam), *rest)),
    ]
    if run.old_pass:
        forward = _forward(run, model, run.old_tokens)
        held = kept(state, adam_kept(run, adam), engine)
        moments.append(Moment("old log-probabilities", (*held, *forward, *rest)))
    if run.reference:
        moments.append(_reference(run, model, (*resting, *kept(engine)), rest))
    gradients = _gradients(run, model)
    held = kept(state, gradients, adam, engine)
    backward = kept(*_copies(run, model, backward=True), *_backward(run, model))
    moments.append(Moment("backward pass", (*held, *backward, *rest)))
    moments.append(Moment("optimizer step", (*held, *kept(_temporary(run, model)), *rest)))
    if run.critic:
        waiting = kept(None if run.critic_offloaded else critic_item(run, model, 12))
        moments = [Moment(m.name, (*m.items, *waiting)) for m in moments]
        # It has no logits, and its gradients meet after every micro-batch.
        own = replace(run, no_sync=False, fused_logits=True, lora_rank=0)
        backward = kept(*_copies(own, model, backward=True), *_backward(own, model))
        training = (critic_item(run, model, 16), *backward)
        moments.append(Moment("critic update", (*resting, *kept(engine), *training, *rest)))
    return tuple(moments)


def critic_item(run: RunSettings, model: ModelShape, each: int) -> Item:
    """A critic of the policy's shape on one rank, `each` bytes a parameter: weights and Adam 12,
    with gradients 16 (verl trains it in float32)."""
    words = f"{each} B x {billions(model.parameters)} / {run.ranks} ranks"
    return Item("critic", each * model.parameters / run.ranks / GIB, words)


def trained(run: RunSettings, model: ModelShape) -> int:
    """Parameters that get gradients."""
    return model.lora(run.lora_rank) if run.lora_rank else model.parameters


def layer_bytes(model: ModelShape) -> float:
    """Bytes of a token that one layer's forward pass keeps for its backward pass, in bfloat16."""
    attention = model.heads * model.head_dim
    return 2.0 * (8 * model.hidden + 5 * model.qkv + attention + 4 * model.intermediate)


def activation_gib(model: ModelShape, tokens: float, checkpointing: bool) -> tuple[Item, ...]:
    """Activations of a backward pass over so many tokens."""
    if not checkpointing:
        each = layer_bytes(model)
        words = f"{tokens:,.0f} tokens x {model.layers} layers x {each / 1024:.0f} KiB"
        return (Item("activations", tokens * model.layers * each / GIB, words),)
    layer, inputs = _BACKWARD * layer_bytes(model), 2.0 * model.hidden * model.layers
    return (
        Item(
            "activations",
            tokens * (inputs + layer) / GIB,
            f"{tokens:,.0f} tokens x (inputs of {model.layers} layers {inputs / 1024:.0f} KiB + "
            f"one layer {layer / 1024:.0f} KiB)",
        ),
    )


def forward_gib(model: ModelShape, tokens: float) -> Item:
    """Activations of a forward pass without gradients."""
    each = 2.0 * (4 * model.hidden + 3 * model.intermediate)
    words = f"{tokens:,.0f} tokens x {each / 1024:.0f} KiB (one layer)"
    return Item("activations", tokens * each / GIB, words)


def engine_room(run: RunSettings, model: ModelShape, total_gib: float) -> tuple[Item, ...]:
    """What vLLM's share is used for; the rest is room for keys and values."""
    weights = 2 * model.parameters / run.tensor_parallel / GIB
    words = f"2 B x {billions(model.parameters)} / {run.tensor_parallel}"
    profile = forward_gib(model, run.engine_tokens).value + 1
    graphs = GRAPHS_GIB if run.graphs else 0.0
    room = run.engine_share * total_gib - weights - profile - graphs
    return (
        Item("vLLM weights", weights, words),
        Item("vLLM activations", profile, f"{run.engine_tokens:,} tokens at once, and sampling"),
        Item("vLLM graphs", graphs, "estimate"),
        Item(
            "KV cache",
            room,
            f"{run.engine_share:.0%} of {total_gib:.1f} less these: "
            f"{max(0, room) * GIB / model.kv_bytes * run.tensor_parallel:,.0f} tokens of "
            f"{model.kv_bytes / 1024:.0f} KiB",
        ),
    )


def adam_kept(run: RunSettings, adam: Item) -> Item | None:
    """Adam's state where it is not offloaded between updates."""
    return None if run.optimizer_offload else adam


def _weights(run: RunSettings, model: ModelShape) -> Item:
    if run.offload_policy:
        return Item("weights", 0, "on the host")
    base = run.actor_bytes * model.parameters / run.ranks
    words = f"{run.actor_bytes} B x {billions(model.parameters)} / {run.ranks} ranks"
    if run.lora_rank:
        base += 4 * trained(run, model) / run.ranks
        words += f" + 4 B x {billions(trained(run, model))} LoRA"
    return Item("weights", base / GIB, words)


def _state_bytes(run: RunSettings) -> int:
    return 4 if run.lora_rank else run.actor_bytes


def _gradients(run: RunSettings, model: ModelShape) -> Item:
    size, count = _state_bytes(run), trained(run, model)
    if run.offload_policy:
        return Item("gradients", 0, "on the host")
    words = f"{size} B x {billions(count)} / {run.ranks} ranks"
    return Item("gradients", size * count / run.ranks / GIB, words)


def _adam(run: RunSettings, model: ModelShape) -> Item:
    size, count = 2 * _state_bytes(run), trained(run, model)
    if run.offload_policy:
        return Item("Adam", 0, "on the host")
    words = f"{size} B x {billions(count)} / {run.ranks} ranks"
    return Item("Adam", size * count / run.ranks / GIB, words)


def _temporary(run: RunSettings, model: ModelShape) -> Item | None:
    """AdamW over lists of tensors, torch's choice for FSDP2, makes one copy of full size."""
    if run.fused_optimizer or run.offload_policy or run.cpu:
        return None
    size, count = _state_bytes(run), trained(run, model)
    words = f"{size} B x {billions(count)} / {run.ranks} ranks: AdamW is not fused"
    return Item("Adam's temporary", size * count / run.ranks / GIB, words)


def _copies(run: RunSettings, model: ModelShape, *, backward: bool) -> tuple[Item, ...]:
    """Gathered bfloat16 copies, and their gradients before these are sharded."""
    layer = model.body / model.layers
    if run.reshard:
        parameters = model.root + _LAYERS_AT_ONCE * layer
        words = f"2 B x (outside the layers {billions(model.root)} + {_LAYERS_AT_ONCE} layers)"
    else:
        parameters, words = float(model.parameters), f"2 B x {billions(model.parameters)}: kept"
    items = [Item("bfloat16 copies", 2 * parameters / GIB, words)]
    if backward and not run.lora_rank:
        if run.no_sync and run.ranks > 1:
            size, words = (
                4.0 * model.parameters,
                f"4 B x {billions(model.parameters)}: summed whole",
            )
        else:
            size = 2 * (model.root + layer)
            words = f"2 B x ({billions(model.root)} + one layer)"
        items.append(Item("their gradients", size / GIB, words))
    return tuple(items)


def _backward(run: RunSettings, model: ModelShape) -> tuple[Item, ...]:
    logits = _logits(run, model, run.update_tokens, 12)
    return (*activation_gib(model, run.update_tokens, run.checkpointing), *kept(logits))


def _forward(run: RunSettings, model: ModelShape, tokens: int) -> tuple[Item, ...]:
    copies = _copies(run, model, backward=False)
    return kept(*copies, forward_gib(model, tokens), _logits(run, model, tokens, 8))


def _logits(run: RunSettings, model: ModelShape, tokens: int, each: int) -> Item | None:
    if run.fused_logits:
        return None
    words = f"{each} B x {tokens:,} tokens x {model.vocab:,}: kernels are not fused"
    return Item("logits", each * tokens * model.vocab / GIB, words)


def _rollout(run: RunSettings, total_gib: float, resting: tuple[Item, ...]) -> Moment:
    share = run.engine_share * total_gib
    engine = Item("vLLM", share, f"{run.engine_share:.0%} of {total_gib:.1f}")
    rest = Item("training process", TRAINER_REST_GIB, "context, and what offloading leaves")
    return Moment("generation", (engine, *resting, rest))


def _push(run: RunSettings, model: ModelShape) -> tuple[Item, ...]:
    weights = 2 * model.parameters / run.tensor_parallel / GIB
    largest = run.actor_bytes * model.embedding / GIB
    return (
        Item("vLLM weights", weights, f"2 B x {billions(model.parameters)}"),
        Item("bucket", run.bucket_bytes / GIB, "update_weights_bucket_megabytes"),
        Item("one gathered matrix", largest, f"{run.actor_bytes} B x {billions(model.embedding)}"),
    )


def _reference(
    run: RunSettings, model: ModelShape, held: tuple[Item, ...], rest: tuple[Item, ...]
) -> Moment:
    """FSDP2 keeps a reference on the host and brings it layer by layer. LoRA's is the actor."""
    forward = _forward(run, model, run.reference_tokens)
    if run.lora_rank:
        held = kept(_weights(run, model), *(item for item in held if item.name != "weights"))
        return Moment("reference", (*held, *forward, *rest))
    layers = run.reference_bytes * (model.root + _LAYERS_AT_ONCE * model.body / model.layers)
    words = f"{run.reference_bytes} B x (outside the layers + {_LAYERS_AT_ONCE} layers)"
    brought = Item("layers of the reference", layers / GIB, words)
    return Moment("reference", (*held, brought, *forward, *rest))


def _rest(run: RunSettings, total_gib: float) -> tuple[Item, ...]:
    return kept(
        Item("training process", TRAINER_REST_GIB, "context, and what offloading leaves"),
        Item(
            "vLLM asleep",
            SLEEPING_ENGINE_GIB if run.engine_sleeps else 0,
            "context and graphs (estimate)",
        ),
        Item("fragmentation", FRAGMENTATION * total_gib, f"{FRAGMENTATION:.0%} of {total_gib:.0f}"),
    )
