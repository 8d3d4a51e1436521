"""The FSDP engine of mint: every distinct prompt once, the vocabulary at scored tokens alone.

The same on processors and GPUs; `cpu_engine` and `gpu_engine` register it. Batches keep verl's
layout: jagged tensors of whole rows, log-probability of token t + 1 at position t, zeros where
nothing was asked for. Models whose attention cannot be laid out so (`mint.policy.sharing`) go
verl's own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from tensordict import NonTensorStack, TensorDict
from verl.utils import tensordict_utils as tu
from verl.workers.engine.fsdp import transformer_impl

from mint.policy.sharing import plain_attention, why_not_shared
from mint.verl.packed_attention import ATTENTION
from mint.verl.shared_layout import Layout, Row, lay_out, micro_batches, read_rows, split_further
from mint.verl.token_scores import Asked, score, scores_itself


class Scored(NamedTuple):
    """What the model returns for R tokens, float32."""

    log_probs_R: torch.Tensor
    entropy_R: torch.Tensor | None


def scored_forward(
    self: Any, *, input_ids: Any, position_ids: Any, layout: Layout, asked: Asked, **_: Any
) -> Scored:
    """The forward pass of a causal language model: [1, T] distinct tokens -> their scores."""
    hidden = self.model(
        input_ids=input_ids,
        attention_mask=None,
        position_ids=position_ids,
        use_cache=False,
        layout=layout,
    )[0]
    return Scored(*score(hidden[0].index_select(0, layout.scored_R), self.lm_head, asked))


def scores_by_groups(module: Any) -> None:
    """Make `scored_forward` the forward pass of this causal language model."""
    module.set_attn_implementation(ATTENTION)
    # Of this instance alone: verl's fused forward, if any, is of its class.
    module.forward = MethodType(scored_forward, module)
    scores_itself(module.lm_head)


class SharedPrompts(transformer_impl.FSDPEngineWithLMHead):  # type: ignore[misc]
    """verl's engine for language models, on whatever device."""

    shares_prompts = False
    """Whether this model can; set when it is built."""

    def _build_module(self) -> Any:
        module = super()._build_module()
        config = module.config.to_dict()
        given = self.model_config.override_config.get("attn_implementation")
        reason = why_not_shared(config, given, self.ulysses_sequence_parallel_size)
        self.shares_prompts = reason is None
        if reason is None:
            scores_by_groups(module)
        else:
            print(f"prompts are not shared: {reason}")
            attention = plain_attention(config, given, packed=bool(self.use_remove_padding))
            if attention is not None:
                module.set_attn_implementation(attention)
        return module

    def forward_backward_batch(
        self, data: TensorDict, loss_function: Callable[..., Any] | None, forward_only: bool = False
    ) -> Any:
        planned = self.shares_prompts and tu.get_non_tensor_data(data, "use_dynamic_bsz", True)
        with _planning(self._split if planned else transformer_impl.prepare_micro_batches):
            return super().forward_backward_batch(data, loss_function, forward_only)

    def forward_step(self, micro_batch: TensorDict, *args: Any, **kwargs: Any) -> Any:
        # Per-row Python objects (reward details, raw prompts) are no use to a forward pass, and
        # verl's device move copies each of them one by one.
        rows = [key for key, value in micro_batch.items() if isinstance(value, NonTensorStack)]
        return super().forward_step(micro_batch.exclude(*rows), *args, **kwargs)

    def prepare_model_inputs(self, micro_batch: TensorDict) -> tuple[dict[str, Any], Any]:
        if not self.shares_prompts:
            return super().prepare_model_inputs(micro_batch=micro_batch)
        ids = micro_batch["input_ids"].values()
        layout = lay_out(rows_of(micro_batch)).to(ids.device)
        asked = Asked(
            ids[layout.home_R + 1],
            _temperature(micro_batch, layout),
            bool(tu.get_non_tensor_data(micro_batch, "calculate_entropy", False)),
        )
        return {
            "input_ids": ids[layout.source_T].unsqueeze(0),
            "position_ids": layout.positions_T.unsqueeze(0),
            "layout": layout,
            "asked": asked,
        }, layout

    def prepare_model_outputs(
        self, output: Any, output_args: Any, micro_batch: TensorDict, logits_processor_func: Any
    ) -> dict[str, torch.Tensor]:
        if not self.shares_prompts:
            return super().prepare_model_outputs(
                output=output,
                output_args=output_args,
                micro_batch=micro_batch,
                logits_processor_func=logits_processor_func,
            )
        ids = micro_batch["input_ids"]

        def whole(values_R: torch.Tensor) -> torch.Tensor:
            full = values_R.new_zeros(ids.values().numel())
            full = full.index_copy(0, output_args.home_R, values_R)
            return torch.nested.nested_tensor_from_jagged(full, ids.offsets())

        result = {"log_probs": whole(output.log_probs_R)}
        if output.entropy_R is not None:
            result["entropy"] = whole(output.entropy_R)
        return result

    def _split(
        self, data: TensorDict, dp_group: Any = None, **_: Any
    ) -> tuple[list[TensorDict], list[list[int]]]:
        """verl's `prepare_micro_batches` by distinct tokens, as many on each data-parallel rank."""
        rows = rows_of(data)
        batches = micro_batches(rows, int(data["max_token_len_per_gpu"]))
        most = torch.tensor(len(batches), device=transformer_impl.get_device_id())
        dist.all_reduce(most, op=dist.ReduceOp.MAX, group=dp_group)
        batches = split_further(rows, batches, int(most))
        return [tu.index_select_tensor_dict(data, batch) for batch in batches], batches


def rows_of(data: TensorDict) -> list[Row]:
    """The rows of a batch as verl hands it to an engine, on the host."""
    ids, mask = data["input_ids"], data["response_mask"]
    return read_rows(
        ids.values().cpu(), ids.offsets().tolist(), mask.values().cpu(), mask.offsets().tolist()
    )


def _temperature(data: TensorDict, layout: Layout) -> float | torch.Tensor:
    """One for all, or one for each scored token."""
    given = data["temperature"]
    if not isinstance(given, torch.Tensor):
        return float(given)
    row_R = torch.searchsorted(data["input_ids"].offsets(), layout.home_R, right=True) - 1
    return given.float()[row_R]


@contextmanager
def _planning(prepare: Any) -> Iterator[None]:
    """verl's engine with another planner; it looks the function up by its name."""
    before = transformer_impl.prepare_micro_batches
    transformer_impl.prepare_micro_batches = prepare
    try:
        yield
    finally:
        transformer_impl.prepare_micro_batches = before
