"""FSDP engine for `trainer.device: cpu`; loaded through `actor_rollout_ref.model.external_lib`.

verl's own engine runs on a CPU once it no longer forces an offload policy, but pads every row and
scores the vocabulary at every prompt token. Here sequences are packed without padding and only the
positions that predict a reply token reach the output layer: the same numbers in half the time.
Batches keep verl's layout: jagged tensors of whole sequences, log-probability of token t + 1 at
position t, zeros where nothing was asked for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from tensordict import NonTensorStack, TensorDict
from torch.nn.functional import cross_entropy
from verl.utils import tensordict_utils as tu
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from mint.verl import policy_loss, token_entropy  # noqa: F401  (they register their losses)
from mint.verl.packed_attention import ATTENTION


class Packed(NamedTuple):
    """What connects packed model inputs with the outputs verl wants; N tokens, R reply tokens."""

    positions_R: torch.Tensor
    """Where the next token belongs to a reply."""
    labels_R: torch.Tensor
    """That next token."""
    temperature_R: torch.Tensor
    """Sampling temperature it was drawn with."""
    num_tokens: int


def pack(input_ids: torch.Tensor, reply_lengths: torch.Tensor, temperature: torch.Tensor) -> Packed:
    """Positions to score in jagged [B, *] `input_ids` whose last `reply_lengths` are the reply."""
    offsets = input_ids.offsets()
    ends = offsets[1:].tolist()
    replies = reply_lengths.tolist()
    # Position t predicts token t + 1, so scoring starts one before the reply and ends one before
    # its last token.
    positions = torch.cat(
        [torch.arange(e - r - 1, e - 1) for e, r in zip(ends, replies, strict=True)]
    )
    values = input_ids.values()
    rows = torch.repeat_interleave(torch.arange(len(replies)), reply_lengths)
    return Packed(positions, values[positions + 1], temperature[rows], int(values.numel()))


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPEngineWithLMHead(FSDPEngineWithLMHead):
    """verl's FSDP engine with packed sequences, for processors."""

    def _build_fsdp_module(self, module: Any) -> Any:
        module.set_attn_implementation(ATTENTION)
        # verl gives forward-only models a CPU-offload policy that pins host memory for an
        # accelerator, which fails where there is none. A reference model already in host memory
        # needs no offloading. The dataclass is frozen; the flag is put back right after.
        forward_only = self.engine_config.forward_only
        object.__setattr__(self.engine_config, "forward_only", False)
        try:
            return super()._build_fsdp_module(module)
        finally:
            object.__setattr__(self.engine_config, "forward_only", forward_only)

    def forward_step(self, micro_batch: TensorDict, *args: Any, **kwargs: Any) -> Any:
        # Per-row Python objects (reward details, raw prompts) are no use to a forward pass, and
        # verl's device move copies each of them one by one.
        rows = [key for key, value in micro_batch.items() if isinstance(value, NonTensorStack)]
        return super().forward_step(micro_batch.exclude(*rows), *args, **kwargs)

    def prepare_model_inputs(self, micro_batch: TensorDict) -> tuple[dict[str, Any], Packed]:
        input_ids = micro_batch["input_ids"]
        temperature = micro_batch["temperature"]
        if not isinstance(temperature, torch.Tensor):
            temperature = torch.full((input_ids.shape[0],), float(temperature))
        packed = pack(input_ids, micro_batch["response_mask"].offsets().diff(), temperature.float())
        return {
            "input_ids": input_ids.values().unsqueeze(0),
            "position_ids": micro_batch["position_ids"].values().unsqueeze(0),
            "attention_mask": None,
            "logits_to_keep": packed.positions_R,
            "packed_lengths": input_ids.offsets().diff().tolist(),
        }, packed

    def prepare_model_outputs(
        self, output: Any, output_args: Packed, micro_batch: TensorDict, logits_processor_func: Any
    ) -> dict[str, torch.Tensor]:
        offsets = micro_batch["input_ids"].offsets()

        def whole(values_R: torch.Tensor) -> torch.Tensor:
            full = values_R.new_zeros(output_args.num_tokens)
            full = full.index_copy(0, output_args.positions_R, values_R)
            return torch.nested.nested_tensor_from_jagged(full, offsets)

        with torch.autocast("cpu", enabled=False):
            logits = output.logits[0].float() / output_args.temperature_R.unsqueeze(-1)
            log_probs = -cross_entropy(logits, output_args.labels_R, reduction="none")
            result = {"log_probs": whole(log_probs)}
            if tu.get_non_tensor_data(data=micro_batch, key="calculate_entropy", default=False):
                log_all = logits.log_softmax(-1)
                result["entropy"] = whole(-(log_all.exp() * log_all).sum(-1))
        return result
