"""Batches and processes for the tests of the engine: every rank is a process of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from tensordict import TensorDict
from torch.nn.functional import cross_entropy
from transformers import Gemma2ForCausalLM

from mint.verl.groups import share_out

RANKS = 2
LIMIT = 40
SIZES = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
GROUPS = {17: (5, 9, 1, 6), 12: (3, 3, 7, 2), 9: (4, 20, 4, 1), 8: (2, 2, 2, 2)}
"""Tokens of a prompt -> of its replies."""
FAILED = 3
"""The row that is left out of the update."""


def rows() -> list[dict[str, torch.Tensor]]:
    """What verl hands an engine, one dictionary a reply, in the order of the groups."""
    random = torch.Generator().manual_seed(0)
    found = []
    for length, replies in GROUPS.items():
        prompt = torch.randint(3, 97, (length,), generator=random)
        for reply in replies:
            response = torch.randint(3, 97, (reply,), generator=random)
            mask = torch.ones(reply, dtype=torch.long)
            if reply > 6:
                mask[2:4] = 0  # the other side of a dialogue
            if len(found) == FAILED:
                mask[:] = 0
            found.append(
                {
                    "prompts": prompt,
                    "responses": response,
                    "input_ids": torch.cat([prompt, response]),
                    "position_ids": torch.arange(length + reply),
                    "response_mask": mask,
                    "loss_mask": mask,
                    "old_log_probs": -torch.rand(reply, generator=random) * 6,
                    "ref_log_prob": -torch.rand(reply, generator=random) * 6,
                    "advantages": torch.randn(1, generator=random).expand(reply),
                }
            )
    return found


def batch(chosen: list[dict[str, torch.Tensor]]) -> TensorDict:
    from verl.utils import tensordict_utils as tu

    fields = {
        name: torch.nested.as_nested_tensor([row[name] for row in chosen], layout=torch.jagged)
        for name in chosen[0]
    }
    data = TensorDict(fields, batch_size=len(chosen))
    tu.assign_non_tensor(
        data,
        temperature=0.9,
        max_token_len_per_gpu=LIMIT,
        use_dynamic_bsz=True,
        global_batch_size=sum(map(len, GROUPS.values())),
        use_remove_padding=False,
        calculate_entropy=True,
    )
    return data


def row_by_row_engine() -> type:
    """Rows one after the other, each with its prompt; verl's own micro-batches."""
    from verl.utils import tensordict_utils as tu
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

    from mint.verl.packed_attention import ATTENTION

    class Plain(FSDPEngineWithLMHead):  # type: ignore[misc]
        def _build_fsdp_module(self, module: Any) -> Any:
            module.set_attn_implementation(ATTENTION)
            return super()._build_fsdp_module(module)

        def prepare_model_inputs(self, micro_batch: TensorDict) -> tuple[dict[str, Any], Any]:
            ids, mask = micro_batch["input_ids"], micro_batch["response_mask"]
            ends, replies = ids.offsets()[1:].tolist(), mask.offsets().diff().tolist()
            places = [torch.arange(e - r - 1, e - 1) for e, r in zip(ends, replies, strict=True)]
            scored = torch.cat(places)
            return {
                "input_ids": ids.values()[None],
                "position_ids": micro_batch["position_ids"].values()[None],
                "attention_mask": None,
                "logits_to_keep": scored,
            }, scored

        def prepare_model_outputs(
            self, output: Any, output_args: Any, micro_batch: TensorDict, logits_processor_func: Any
        ) -> dict[str, torch.Tensor]:
            ids = micro_batch["input_ids"]
            logits = output.logits[0] / tu.get_non_tensor_data(micro_batch, "temperature", 1.0)
            labels = ids.values()[output_args + 1]
            log_all = logits.log_softmax(-1)
            scores = {
                "log_probs": -cross_entropy(logits, labels, reduction="none"),
                "entropy": -(log_all.exp() * log_all).sum(-1),
            }
            full = torch.zeros(ids.values().numel())
            return {
                name: torch.nested.nested_tensor_from_jagged(
                    full.index_copy(0, output_args, values), ids.offsets()
                )
                for name, values in scores.items()
            }

    return Plain


def build(engine: type, folder: str, checkpointing: bool, lora_rank: int = 0) -> Any:
    from verl.trainer.config import CheckpointConfig
    from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig, HFModelConfig

    made = engine(
        HFModelConfig(
            path=folder,
            load_tokenizer=False,
            override_config={"attn_implementation": "sdpa"},
            use_remove_padding=False,
            enable_gradient_checkpointing=checkpointing,
            lora_rank=lora_rank,
        ),
        FSDPEngineConfig(
            strategy="fsdp2",
            use_torch_compile=False,
            mixed_precision={"param_dtype": "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"},
        ),
        FSDPOptimizerConfig(lr=0.0, total_training_steps=2),
        CheckpointConfig(),
    )
    torch.manual_seed(0)
    made.initialize()
    return made


def step(engine: Any, data: TensorDict, lora: bool = False) -> dict[str, Any]:
    """Log-probabilities of the rank's rows, then the gradients of verl's own loss."""
    from verl.workers.config import FSDPActorConfig
    from verl.workers.utils.losses import ppo_loss

    config = FSDPActorConfig(
        strategy="fsdp2",
        rollout_n=4,
        ppo_mini_batch_size=4,
        ppo_micro_batch_size_per_gpu=1,
        use_kl_loss=True,
        kl_loss_coef=0.1,
        kl_loss_type="low_var_kl",
        entropy_coeff=0.01,
    )
    with engine.eval_mode():
        found = engine.infer_batch(data.clone())["model_output"]
    calls = []
    original = engine.forward_step

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return original(*args, **kwargs)

    engine.forward_step = counted
    with engine.train_mode():
        engine.optimizer_zero_grad()
        engine.forward_backward_batch(data.clone(), partial(ppo_loss, config))
        gradients = {
            name: parameter.grad.full_tensor()
            for name, parameter in engine.module.named_parameters()
            if parameter.grad is not None
        }
    return {
        "log_probs": [row.clone() for row in found["log_probs"].unbind()],
        "entropy": [row.clone() for row in found["entropy"].unbind()],
        "gradients": gradients,
        "passes": len(calls),
    }


def work(rank: int, folder: str, lora_rank: int) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=RANKS
    )
    from mint.verl.cpu_engine import CpuFSDPEngineWithLMHead

    everything = rows()
    numbers = list(range(len(everything)))
    groups = [numbers[at : at + 4] for at in range(0, len(numbers), 4)]
    costs = [length + sum(replies) for length, replies in GROUPS.items()]
    shares = {"plain": numbers[rank::RANKS], "shared": share_out(groups, costs, RANKS)[rank]}
    engines = {"plain": row_by_row_engine(), "shared": CpuFSDPEngineWithLMHead}
    for name, engine in engines.items():
        made = build(engine, folder, checkpointing=name == "shared", lora_rank=lora_rank)
        if name == "shared":
            assert made.shares_prompts
        found = step(made, batch([everything[n] for n in shares[name]]))
        torch.save({**found, "rows": shares[name]}, f"{folder}/{name}{rank}.pt")
    torch.distributed.destroy_process_group()


def work_plainly(rank: int, folder: str) -> None:
    """A model with soft caps through the engine's own way and row by row through transformers."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=1
    )
    from mint.verl.cpu_engine import CpuFSDPEngineWithLMHead

    made = build(CpuFSDPEngineWithLMHead, folder, checkpointing=False)
    assert not made.shares_prompts
    with made.eval_mode():
        found = made.infer_batch(batch(rows()))["model_output"]["log_probs"].unbind()
    model = Gemma2ForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    for log_probs, row in zip(found, rows(), strict=True):
        ids = row["input_ids"]
        logits = model(ids[None], use_cache=False).logits[0, :-1] / 0.9
        expected = -cross_entropy(logits, ids[1:], reduction="none")
        assert (log_probs[:-1] - expected).abs().max() < 1e-4
    torch.distributed.destroy_process_group()
