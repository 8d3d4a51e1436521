"""The critic's engine: a token classifier with one number a token, on packed rows.

verl loads a value model with flash-attn, or else through trl; neither is needed here. The policy's
weights carry a head that starts at zero, so that the first values are 0 and not noise. Importing
this module registers the engines; `mint.verl.critic` does it in the critic's process, where
`critic.model.external_lib` is never imported.
"""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from transformers import AutoModelForTokenClassification
from verl.models.transformers.monkey_patch import apply_monkey_patch
from verl.utils.fsdp_utils import get_init_weight_context_manager
from verl.utils.torch_dtypes import PrecisionType
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithValueHead

from mint.verl.cpu_engine import CpuFSDPEngineWithLMHead
from mint.verl.packed_attention import ATTENTION

HEADS = ("score", "classifier")
"""Names of a token classifier's head in transformers."""


def value_model(path: str, config: Any, dtype: torch.dtype) -> torch.nn.Module:
    """The model in `path` with one output a token, all 0 at first.

    `config` is its transformers config, which is told of the head; weights of the head that `path`
    has (a critic saved by a run) are dropped with it. Raises ValueError for an architecture without
    a token classifier.
    """
    config.num_labels = 1
    config.classifier_dropout = 0.0
    model = AutoModelForTokenClassification.from_pretrained(path, dtype=dtype, config=config)
    head = next((getattr(model, name) for name in HEADS if hasattr(model, name)), None)
    if head is None:
        raise ValueError(f"{type(model).__name__} has none of the heads {', '.join(HEADS)}")
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
    return model  # type: ignore[no-any-return]


class _ZeroHead:
    """Loads `value_model` where verl's engine would ask for flash-attn."""

    model_config: Any
    engine_config: Any
    device_mesh: Any
    use_remove_padding: bool
    ulysses_sequence_parallel_size: int

    def _build_module(self) -> torch.nn.Module:
        config = self.model_config.hf_config
        begin = get_init_weight_context_manager(
            use_meta_tensor=not config.tie_word_embeddings, mesh=self.device_mesh
        )
        dtype = PrecisionType.to_dtype(self.engine_config.model_dtype or "fp32")
        with begin():
            model = value_model(self.model_config.local_path, config, dtype)
        apply_monkey_patch(
            model=model,
            use_remove_padding=self.use_remove_padding,
            ulysses_sp_size=self.ulysses_sequence_parallel_size,
        )
        model.to(dtype)
        if self.model_config.enable_gradient_checkpointing:
            options = {"use_reentrant": False}
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
        return model


@EngineRegistry.register(
    model_type="value_model", backend=["fsdp", "fsdp2"], device="cuda", vendor="nvidia"
)
class PackedValueEngine(_ZeroHead, FSDPEngineWithValueHead):
    """verl's value engine on the attention that `critic.model.override_config` names."""


@EngineRegistry.register(model_type="value_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuValueEngine(_ZeroHead, CpuFSDPEngineWithLMHead):
    """The same for processors: rows packed one after the other, a value at every token."""

    def _build_module(self) -> torch.nn.Module:
        module = super()._build_module()
        module.set_attn_implementation(ATTENTION)
        return module

    def prepare_model_inputs(self, micro_batch: TensorDict) -> tuple[dict[str, Any], Any]:
        input_ids = micro_batch["input_ids"]
        return {
            "input_ids": input_ids.values().unsqueeze(0),
            "position_ids": micro_batch["position_ids"].values().unsqueeze(0),
            "attention_mask": None,
        }, None

    def prepare_model_outputs(
        self, output: Any, output_args: Any, micro_batch: TensorDict, logits_processor_func: Any
    ) -> dict[str, torch.Tensor]:
        values = output.logits[0, :, 0].float()
        offsets = micro_batch["input_ids"].offsets()
        return {"values": torch.nested.nested_tensor_from_jagged(values, offsets)}
