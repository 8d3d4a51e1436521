"""Packed rows on mint's attention give what padded batches give, without flash-attn."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import engine_ranks
import pytest
import torch
from omegaconf import OmegaConf
from torch.nn.functional import log_softmax
from transformers import Qwen3Config, Qwen3ForCausalLM

from mint.config import compose, recipes
from mint.verl import packed_attention
from mint.verl.packed_attention import ATTENTION, packed_causal_attention, rows_of

pytestmark = pytest.mark.contract
LENGTHS = (9, 1, 5, 12)
SIZES = {**engine_ranks.SIZES, "tie_word_embeddings": True}


def qwen3(attention: str) -> Any:
    torch.manual_seed(0)
    return Qwen3ForCausalLM._from_config(Qwen3Config(**SIZES), attn_implementation=attention)


def packed_inputs(rows: list[torch.Tensor]) -> dict[str, Any]:
    """What verl's engine gives the model with `use_remove_padding`."""
    positions = torch.cat([torch.arange(len(row)) for row in rows])[None]
    return {"input_ids": torch.cat(rows)[None], "position_ids": positions, "attention_mask": None}


def log_probs_padded(model: Any, rows: list[torch.Tensor]) -> torch.Tensor:
    longest = max(len(row) for row in rows)
    ids, mask = torch.zeros(2, len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    found = log_softmax(logits[:, :-1].float(), -1).gather(2, ids[:, 1:, None])[..., 0]
    return torch.cat([found[number, : len(row) - 1] for number, row in enumerate(rows)])


def log_probs_packed(model: Any, rows: list[torch.Tensor]) -> torch.Tensor:
    logits = model(**packed_inputs(rows), use_cache=False).logits[0]
    found = log_softmax(logits.float(), -1).split([len(row) for row in rows])
    return torch.cat(
        [f[:-1].gather(1, r[1:, None])[:, 0] for f, r in zip(found, rows, strict=True)]
    )


@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_rows_equal_padded_ones(checkpointing: bool) -> None:
    rows = [torch.randint(0, 97, (length,)) for length in LENGTHS]
    results = []
    for attention, log_probs in (("sdpa", log_probs_padded), (ATTENTION, log_probs_packed)):
        model = qwen3(attention).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        found = log_probs(model, rows)
        found.sum().backward()
        results.append((found.detach(), model.model.layers[0].self_attn.q_proj.weight.grad))
    (padded, padded_grad), (packed, packed_grad) = results
    assert padded.shape == (sum(LENGTHS) - len(LENGTHS),)
    assert torch.allclose(packed, padded, atol=1e-5)
    assert torch.allclose(packed_grad, padded_grad, atol=1e-4)
    assert packed_grad.abs().max() > 0


def test_another_row_changes_nothing() -> None:
    first, second, other = (torch.randint(0, 97, (n,)) for n in (6, 8, 8))
    model = qwen3(ATTENTION).eval()
    with torch.no_grad():
        one, two = (log_probs_packed(model, [first, last]) for last in (second, other))
    assert torch.equal(one[:5], two[:5])
    assert not torch.allclose(one[5:], two[5:])


def test_verls_fused_forward_leads_to_it() -> None:
    """verl's forward for fused kernels hands on positions and nothing else."""
    from types import MethodType

    from verl.models.transformers.dense_common import forward_with_torch_backend

    rows = [torch.randint(0, 97, (length,)) for length in LENGTHS]
    model = qwen3(ATTENTION).eval()
    labels = torch.cat(rows).roll(-1)[None]
    with torch.no_grad():
        expected = log_probs_packed(model, rows)
        model.forward = MethodType(forward_with_torch_backend, model)
        output = model(**packed_inputs(rows), return_dict=True, shift_labels=labels)
    found = output.log_probs[0].split([len(row) for row in rows])
    assert torch.allclose(torch.cat([f[:-1] for f in found]), expected, atol=1e-4)


def test_the_kernel_gets_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch's kernel is called with; the kernel itself needs a GPU (`make gpu-check`)."""
    from torch.nn.attention import varlen

    def kernel(  # type: ignore[no-untyped-def]
        q, k, v, starts_q, starts_k, longest_q, longest_k, *, scale, window_size, enable_gqa
    ):
        assert (window_size, enable_gqa) == ((-1, 0), True)
        assert starts_q.dtype == torch.int32
        assert longest_q == longest_k == max(LENGTHS)
        assert torch.equal(starts_q, starts_k)
        lengths = starts_q.diff().tolist()
        heads_first = (x.transpose(0, 1)[None] for x in (q, k, v))
        return packed_attention.row_by_row(*heads_first, lengths, scale)[0]

    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    positions = torch.cat([torch.arange(n) for n in LENGTHS])[None]
    query = torch.randn(1, 4, sum(LENGTHS), 16)
    key, value = torch.randn(2, 1, 2, sum(LENGTHS), 16)
    rows = rows_of(positions)
    found = packed_attention._by_kernel(query, key, value, rows, 0.25)
    expected, _ = packed_causal_attention(
        None, query, key, value, None, position_ids=positions, scaling=0.25
    )
    assert found.shape == (1, sum(LENGTHS), 4, 16)
    assert torch.allclose(found, expected, atol=1e-6)
    assert rows_of(positions) is rows  # found once, not once a layer


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"attention_mask": torch.ones(1, 3)}, "padded batch"),
        ({"sliding_window": 128}, "sliding window"),
        ({"dropout": 0.1}, "dropout"),
        ({"softcap": 50.0}, "soft caps"),
        ({"position_ids": None}, "needs position_ids"),
        ({"position_ids": torch.tensor([[4, 5, 6]])}, "begin with 0"),
    ],
)
def test_what_it_cannot_do_is_an_error(change: dict[str, Any], said: str) -> None:
    arguments = {"attention_mask": None, "position_ids": torch.arange(3)[None], **change}
    with pytest.raises(ValueError, match=said):
        packed_causal_attention(None, *torch.randn(3, 1, 2, 3, 8), **arguments)


def test_a_recipe_for_gpus_trains_without_flash_attn(tmp_path: Path) -> None:
    """verl's own model configuration and patches, as a GPU recipe sets them, in a fresh process."""
    assert importlib.util.find_spec("flash_attn") is None
    recipes.register(recipes.find_recipes())
    model = compose.compose_config(["+recipe=mint_4b"]).actor_rollout_ref.model
    assert model.use_remove_padding
    assert model.override_config.attn_implementation == ATTENTION
    Qwen3ForCausalLM(Qwen3Config(**SIZES)).save_pretrained(tmp_path)
    saved = str(tmp_path / "saved")
    code = (
        "import sys\n"
        "from transformers import AutoModelForCausalLM\n"
        "from verl.models.transformers.monkey_patch import apply_monkey_patch\n"
        "from verl.utils.attention_utils import unpad_input\n"
        "from verl.workers.config import HFModelConfig\n"
        f"config = HFModelConfig(path={str(tmp_path)!r}, load_tokenizer=False, "
        f"external_lib={model.external_lib!r}, "
        f"override_config={OmegaConf.to_container(model.override_config)!r})\n"
        "model = AutoModelForCausalLM.from_pretrained(config.local_path, config=config.hf_config)\n"
        "apply_monkey_patch(model, use_remove_padding=True, use_fused_kernels=True, "
        "fused_kernels_backend='torch')\n"
        f"assert model.config._attn_implementation == {ATTENTION!r}\n"
        "import torch\n"
        "ids, positions = torch.arange(8)[None], torch.tensor([[0, 1, 2, 0, 1, 2, 3, 4]])\n"
        "output = model(input_ids=ids, position_ids=positions, attention_mask=None, "
        "return_dict=True, temperature=1.0, use_cache=False)\n"
        "assert output.log_probs.shape == (1, 8) and output.log_probs.isfinite().all()\n"
        "rows = unpad_input(torch.ones(2, 3, 1), torch.ones(2, 3, dtype=torch.long))[0]\n"
        "assert rows.shape[0] == 6\n"
        "assert 'flash_attn' not in sys.modules\n"
        f"model.save_pretrained({saved!r})\n"
        f"config.hf_config.save_pretrained({saved!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    # What was trained with it loads where nobody has heard of it.
    load = f"from transformers import AutoModelForCausalLM as A; A.from_pretrained({saved!r})"
    done = subprocess.run(
        [sys.executable, "-c", load], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
