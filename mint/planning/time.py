"""Seconds of a step, part by part.

Matrix products take 2 FLOP a parameter and token, three times that with a backward pass and four
with recomputation. The rates are measured ones (docs/planning.md); `rates.Scale` corrects them
by a run of the same machine.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mint.planning.batch import Batch
from mint.planning.graders import GraderLoad
from mint.planning.hardware import GpuModel
from mint.planning.items import Item, billions, kept
from mint.planning.lengths import Lengths
from mint.planning.memory import layer_bytes
from mint.planning.models import ModelShape
from mint.planning.settings import RunSettings

GENERATION, OLD, REFERENCE, VALUES, CRITIC, UPDATE, PUSH = (
    "generation",
    "old log-probabilities",
    "reference",
    "values",
    "critic update",
    "update",
    "weight push",
)
_GPU_EFFICIENCY = 0.355
"""Part of the maker's figure that training and forward passes reach (one H100, Qwen3-4B)."""
_DECODE_EFFICIENCY = 0.8
"""Part of the memory bandwidth that decoding reaches (estimate)."""
_DECODE_STEP_S = 0.003
"""Of the engine's own work for one token of all sequences (estimate)."""
_LONGEST = 3.0
"""Longest reply over the mean one; the limit cuts it."""
_PUSH_BYTES_S = 10e9
_WAKE_S = 2.0
_GPU_OTHER_S = 2.0
_LINK_BYTES_S = {True: 150e9, False: 25e9}
"""Between the GPUs of one node, and between nodes (estimate)."""
_CPU_PRODUCTS, _CPU_DECODE = {2: 220e9, 4: 67e9}, {2: 58e9, 4: 11e9}
"""FLOP/s of a core by bytes of a number: matrix products, and those of a decoding step. Native
bfloat16: EPYC Zen 4; float32, where there is none: a Xeon of 2.5 GHz with AVX-512."""
_CPU_BACKWARD_BYTES, _CPU_FORWARD_BYTES = 0.19e9, 0.685e9
"""Bytes of activations that a core gets through in a second, in element-wise work."""
_CPU_ENTROPY = 1.4
"""The pass for old log-probabilities, which takes the entropy too, over a plain one."""
_CPU_DECODE_STEP_S = 0.027
_CPU_OTHER_S = 0.2


class Speed(NamedTuple):
    """What the parts of a step are computed with."""

    gpu: GpuModel | None
    """None: on the cores."""
    cores: int
    scale: dict[str, float]
    """Part -> measured over computed seconds; {} without a measured run."""


def step_items(
    run: RunSettings,
    model: ModelShape,
    lengths: Lengths,
    batch: Batch,
    graders: GraderLoad,
    speed: Speed,
) -> tuple[Item, ...]:
    """Seconds of the parts of one step; they follow each other."""
    parts = _cpu(run, model, lengths, batch, speed.cores) if speed.gpu is None else None
    if parts is None:
        assert speed.gpu is not None
        parts = _gpu(run, model, lengths, batch, speed.gpu)
    scaled = [_scaled(item, speed.scale) for item in parts]
    if GENERATION not in speed.scale:
        scaled.insert(1, Item("grading of the last replies", graders.tail, "see graders"))
    return kept(*scaled)


def pass_flop(model: ModelShape, tokens: float, scored: float, sequences: float) -> float:
    """FLOP of a forward pass over `sequences` rows; the output layer sees the `scored` tokens."""
    length = tokens / max(1.0, sequences)
    attention = 2.0 * model.layers * model.heads * model.head_dim * length * tokens
    return 2.0 * model.body * tokens + 2.0 * model.embedding * scored + attention


def _pass(run: RunSettings, model: ModelShape, lengths: Lengths, batch: Batch) -> float:
    """FLOP of one pass of the trainer over a step's replies."""
    # verl's own fused way scores prompts too.
    alone = run.cpu or run.shared_prompts
    scored = batch.reply_tokens if alone else batch.tokens
    rows = batch.seen / (lengths.prompt + lengths.reply)
    return pass_flop(model, batch.seen, scored, rows)


def _scaled(item: Item, scale: dict[str, float]) -> Item:
    if item.name not in scale:
        return item
    factor = scale[item.name]
    return Item(item.name, item.value * factor, f"{item.formula}; x {factor:.2f} as measured")


def _gpu(
    run: RunSettings, model: ModelShape, lengths: Lengths, batch: Batch, gpu: GpuModel
) -> list[Item]:
    rate = gpu.tflops * 1e12 * _GPU_EFFICIENCY
    forward = _pass(run, model, lengths, batch) / run.ranks / rate
    # Adapters need the gradients of the activations, not those of the weights.
    times = (4 if run.checkpointing else 3) - (1 if run.lora_rank else 0)
    micro = math.ceil(batch.seen / run.ranks / run.update_tokens)
    bus = gpu.pcie_gb_s * 1e9
    said = f"{batch.seen:,.0f} tokens, {gpu.tflops * _GPU_EFFICIENCY:.0f} TFLOP/s x {run.ranks}"
    moved = (
        run.actor_bytes
        * model.parameters
        * (int(run.param_offload) + 2 * int(run.optimizer_offload and not run.lora_rank))
    )
    streams = math.ceil(batch.seen / run.ranks / run.reference_tokens)
    brought = streams * run.reference_bytes * model.parameters / run.ranks / bus
    if run.lora_rank:
        brought = 0.0
    return [
        _gpu_generation(run, model, lengths, batch, gpu),
        Item(
            OLD, forward if run.old_pass else 0, f"2 FLOP x {billions(model.parameters)} x {said}"
        ),
        Item(
            REFERENCE,
            max(forward, brought) if run.reference else 0,
            f"the greater of computing ({forward:.1f} s) and {streams} x "
            f"{run.reference_bytes} B x {billions(model.parameters)} from the host "
            f"({brought:.1f} s)",
        ),
        *_critic(run, forward, (4 if run.checkpointing else 3) * forward),
        Item(
            UPDATE,
            run.passes * times * forward,
            f"{2 * times} FLOP x {billions(model.parameters)} x {said}"
            + (", layers computed again" if run.checkpointing else ""),
        ),
        Item("between GPUs", *_exchange(run, model, micro)),
        Item(
            "offloading",
            2 * moved / run.ranks / bus,
            f"{moved / 1e9 / run.ranks:.0f} GB to the GPU and back at {gpu.pcie_gb_s:.0f} GB/s",
        ),
        Item(
            PUSH,
            2 * model.parameters / _PUSH_BYTES_S + (_WAKE_S if run.engine_sleeps else 0),
            f"2 B x {billions(model.parameters)} at 10 GB/s, and waking vLLM (estimate)",
        ),
        Item("other", _GPU_OTHER_S, "rewards, advantages, dispatch (estimate)"),
    ]


def _critic(run: RunSettings, forward: float, update: float) -> tuple[Item, ...]:
    """A critic of the policy's size: a pass for the values and its update."""
    if not run.critic:
        return ()
    return (
        Item(VALUES, forward, "a forward pass of the critic"),
        Item(CRITIC, run.passes * update, "as the policy's, all weights"),
    )


def _gpu_generation(
    run: RunSettings, model: ModelShape, lengths: Lengths, batch: Batch, gpu: GpuModel
) -> Item:
    engines = max(1.0, run.ranks / run.tensor_parallel)
    steps = min(float(run.max_reply), _LONGEST * lengths.reply)
    weights = 2 * model.parameters * steps
    context = lengths.prompt + lengths.reply / 2
    cache = model.kv_bytes * context * batch.reply_tokens / engines
    speed = gpu.gb_s * 1e9 * _DECODE_EFFICIENCY * run.tensor_parallel
    prompts = run.prompts * lengths.prompt / engines
    flop = pass_flop(model, prompts, run.prompts / engines, run.prompts / engines)
    prefill = flop / (gpu.tflops * 1e12 * _GPU_EFFICIENCY)
    return Item(
        GENERATION,
        (weights + cache) / speed + steps * _DECODE_STEP_S + prefill,
        f"{steps:,.0f} tokens of the longest reply x {2 * model.parameters / 1e9:.1f} GB weights + "
        f"{cache / 1e12:.1f} TB keys and values, at {gpu.gb_s * _DECODE_EFFICIENCY:,.0f} GB/s, + "
        f"{_DECODE_STEP_S * 1000:.0f} ms a token",
    )


def _exchange(run: RunSettings, model: ModelShape, micro: int) -> tuple[float, str]:
    if run.ranks == 1:
        return 0.0, ""
    size = (8 if run.reshard else 6) * (0 if run.lora_rank else 1) + (4 if run.lora_rank else 0)
    rate = _LINK_BYTES_S[run.nodes == 1]
    seconds = run.passes * micro * size * model.parameters / rate
    words = (
        f"{micro} micro-batches x {size} B x {billions(model.parameters)} at {rate / 1e9:.0f} GB/s"
    )
    return seconds, words


def _cpu(
    run: RunSettings, model: ModelShape, lengths: Lengths, batch: Batch, cores: int
) -> list[Item]:
    products, decoding = _CPU_PRODUCTS[run.arithmetic_bytes], _CPU_DECODE[run.arithmetic_bytes]
    forward = _pass(run, model, lengths, batch)
    kept_bytes = batch.seen * model.layers * layer_bytes(model)
    passed = (forward / products + kept_bytes / _CPU_FORWARD_BYTES) / cores
    update = (3 * forward / products + kept_bytes / _CPU_BACKWARD_BYTES) / cores
    prefill = pass_flop(model, run.prompts * lengths.prompt, run.prompts, run.prompts)
    decode = 2.0 * model.parameters * batch.reply_tokens / (decoding * cores)
    per_core = f"/ {products / 1e9:.0f} GFLOP/s + {kept_bytes / 1e9:.2f} GB of activations"
    return [
        Item(
            GENERATION,
            run.max_reply * _CPU_DECODE_STEP_S + decode + prefill / (products * cores),
            f"{run.max_reply} tokens x {_CPU_DECODE_STEP_S * 1000:.0f} ms + 2 FLOP x "
            f"{billions(model.parameters)} x {batch.reply_tokens:,.0f} tokens, {cores} cores x "
            f"{decoding / 1e9:.0f} GFLOP/s",
        ),
        Item(
            OLD,
            _CPU_ENTROPY * passed if run.old_pass else 0,
            f"{_CPU_ENTROPY} x that of the reference: with the entropy",
        ),
        Item(
            REFERENCE,
            passed if run.reference else 0,
            f"{forward / 1e9:,.0f} GFLOP {per_core} / {_CPU_FORWARD_BYTES / 1e9:.2f} GB/s, {cores} "
            "cores",
        ),
        *_critic(run, passed, update),
        Item(
            UPDATE,
            run.passes * update,
            f"{3 * forward / 1e9:,.0f} GFLOP {per_core} / {_CPU_BACKWARD_BYTES / 1e9:.2f} GB/s, "
            f"{cores} cores",
        ),
        Item(
            PUSH,
            0.05 + 4 * model.parameters / 2e9,
            f"4 B x {billions(model.parameters)} at 2 GB/s",
        ),
        Item("other", _CPU_OTHER_S, "rewards, advantages, dispatch"),
    ]
