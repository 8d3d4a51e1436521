"""The whole engine on two data-parallel ranks against one that packs rows and shares nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from engine_ranks import FAILED, RANKS, SIZES, batch, rows, work, work_plainly
from omegaconf import OmegaConf
from transformers import Gemma2Config, Gemma2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from mint.config import compose, recipes
from mint.verl.groups import group_of, share_out

pytestmark = pytest.mark.contract


def pairs(found: dict[str, Any], key: str) -> Iterator[tuple[int, torch.Tensor]]:
    """Number of a row, and what a rank found for it."""
    return zip(found["rows"], found[key], strict=True)


@pytest.mark.parametrize(("lora_rank", "tied"), [(0, True), (0, False), (4, True)])
def test_two_ranks_learn_what_plain_rows_teach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora_rank: int, tied: bool
) -> None:
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(Qwen3Config(**SIZES, tie_word_embeddings=tied))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path)
    mp.spawn(work, (str(tmp_path), lora_rank), nprocs=RANKS)
    loaded = {
        name: [torch.load(tmp_path / f"{name}{rank}.pt") for rank in range(RANKS)]
        for name in ("plain", "shared")
    }
    passes = [found["passes"] for found in loaded["shared"]]
    assert passes[0] == passes[1] > 1
    for key in ("log_probs", "entropy"):
        plain, shared = (
            {row: values for each in loaded[name] for row, values in pairs(each, key)}
            for name in ("plain", "shared")
        )
        assert plain.keys() == shared.keys() == set(range(16))
        for number, row in enumerate(rows()):
            mask = row["response_mask"].bool()
            cut = slice(len(row["prompts"]) - 1, -1)
            assert torch.allclose(shared[number][cut][mask], plain[number][cut][mask], atol=1e-5)
            assert not shared[number][cut][~mask].any() or number == FAILED
    plain, shared = (loaded[name][0]["gradients"] for name in ("plain", "shared"))
    assert plain.keys() == shared.keys()
    assert plain
    difference = sum((plain[name] - shared[name]).square().sum() for name in plain).sqrt()
    size = sum(gradient.square().sum() for gradient in plain.values()).sqrt()
    assert size > 0.01
    assert difference / size <= 1e-5


def test_models_with_soft_caps_go_verls_own_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    torch.manual_seed(0)
    config = Gemma2Config(**SIZES, attn_logit_softcapping=2.0, sliding_window=6)
    model = Gemma2ForCausalLM(config)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path)
    mp.spawn(work_plainly, (str(tmp_path),), nprocs=1)
    assert "prompts are not shared: no kernel for variable lengths caps" in capfd.readouterr().out


def test_siblings_stay_on_one_rank() -> None:
    groups = [list(range(at, at + 8)) for at in range(0, 48, 8)]
    found = share_out(groups, [9, 1, 1, 1, 5, 1], 2)
    assert sorted(map(len, found)) == [24, 24]
    assert sorted(found[0] + found[1]) == list(range(48))
    whose = [{number // 8 for number in numbers} for numbers in found]
    assert not whose[0] & whose[1]
    assert {0, 4} not in [groups & {0, 4} for groups in whose]  # the two dear ones apart
    # Three groups for two ranks: only one is cut.
    cut = share_out(groups[:3], [3, 2, 1], 2)
    assert [len(numbers) for numbers in cut] == [12, 12]
    assert sum({n // 8 for n in cut[0]} & {n // 8 for n in cut[1]}) == 2
    assert share_out(groups, [1] * 6, 1) == [list(range(48))]
    with pytest.raises(ValueError, match="3 rows cannot be shared equally by 2 ranks"):
        share_out([[0, 1, 2]], [1], 2)


def test_a_balanced_batch_is_put_in_groups() -> None:
    """verl's own batch, scattered as it balances rows; padding rows are a group of their own."""
    from types import SimpleNamespace

    from transfer_queue.metadata import KVBatchMeta

    from mint.verl.groups import keep_siblings

    keys = [f"{uid}_{session}_0" for session in range(3) for uid in ("a-1", "b-2", "c-3")]
    keys += [f"pad7f_{session}_0" for session in range(3)]
    tags = [{"seq_len": 30 + n, "response_len": 10 + n} for n in range(len(keys))]
    batch = KVBatchMeta(keys=list(keys), tags=list(tags))
    metrics: dict[str, float] = {}
    actors = SimpleNamespace(_dispatch_info={"actor": [0, 1]})
    found = keep_siblings(batch, actors, metrics)
    assert sorted(found.keys) == sorted(keys)
    assert [tags[keys.index(key)] for key in found.keys] == found.tags
    halves = [{group_of(key) for key in found.keys[at : at + 6]} for at in (0, 6)]
    assert not halves[0] & halves[1]
    assert metrics["global_seqlen/max"] > metrics["global_seqlen/min"] > 0


def test_each_row_has_its_own_temperature() -> None:
    from mint.verl.shared_engine import _temperature, rows_of
    from mint.verl.shared_layout import lay_out

    data = batch(rows())
    layout = lay_out(rows_of(data))
    assert _temperature(data, layout) == 0.9
    data["temperature"] = 0.5 + torch.arange(len(rows()))
    bounds = data["input_ids"].offsets()
    found = _temperature(data, layout)
    assert isinstance(found, torch.Tensor)
    assert len(found) == sum(int(row["response_mask"].sum()) for row in rows())
    for temperature, home in zip(found.tolist(), layout.home_R.tolist(), strict=True):
        row = int(temperature - 0.5)
        assert bounds[row] <= home < bounds[row + 1]


def test_the_group_is_in_the_key() -> None:
    assert group_of("4f-2a_7_0") == "4f-2a"


def test_verl_calls_what_the_engine_replaces() -> None:
    import inspect

    from verl.trainer.ppo.v1 import agent_loop_tq, trainer_base
    from verl.workers.engine.fsdp import transformer_impl

    body = inspect.getsource(transformer_impl.FSDPEngine.forward_backward_batch)
    assert "= prepare_micro_batches(\n" in body
    assert "dp_group=self.get_data_parallel_group()" in body
    assert 'f"{uid}_{session_id}_{i}"' in inspect.getsource(agent_loop_tq)
    balance = inspect.getsource(trainer_base.PPOTrainer._balance_batch)
    assert "worker_group._dispatch_info[role]" in balance


@pytest.mark.parametrize("recipe", ["mint_4b", "mint_tiny"])
def test_recipes_load_the_engine(recipe: str) -> None:
    recipes.register(recipes.find_recipes())
    config = compose.compose_config([f"+recipe={recipe}"])
    device = "cpu" if recipe == "mint_tiny" else "gpu"
    assert config.actor_rollout_ref.model.external_lib == f"mint.verl.{device}_engine"
    assert "flash" not in OmegaConf.to_yaml(config.actor_rollout_ref.model)


def test_gpus_get_it_before_verls_own() -> None:
    from verl.workers.engine.base import EngineRegistry

    import mint.verl.gpu_engine as gpu_engine

    for backend in ("fsdp", "fsdp2"):
        registered = EngineRegistry._engines["language_model"][backend]
        assert registered["cuda", "nvidia"] is gpu_engine.GpuFSDPEngineWithLMHead
        assert registered["cuda"] is not registered["cuda", "nvidia"]
