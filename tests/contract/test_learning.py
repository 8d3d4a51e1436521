"""What verl makes of mint's rewards: its own advantages, loss and metrics, fed as in training."""

from __future__ import annotations

import inspect
import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="needs the cpu or gpu extra")
pytestmark = pytest.mark.contract

from tensordict import TensorDict  # noqa: E402
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage  # noqa: E402

from mint.config import compose, recipes  # noqa: E402
from mint.verl import policy_loss  # noqa: E402, F401  (registers the recipe's loss)
from mint.verl.masks import advantage_groups, without_gradient  # noqa: E402
from rewards.formula import RewardWeights, group_rewards  # noqa: E402
from rewards.types import Signals, Status  # noqa: E402

LENGTHS = (3, 5, 2, 4)


def graded(quality: float) -> Signals:
    return Signals(status=Status.OK, quality=quality, kl=0.0, entropy=0.0, num_tokens=10)


FAILED = Signals(status=Status.FAILED, reason="judge: timeout: 20 s")
WEIGHTS = RewardWeights(mode="quality_only")


@cache
def config(*overrides: str) -> Any:
    recipes.register(recipes.find_recipes())
    return compose.compose_config(["+recipe=mint_tiny", *overrides])


def advantages(group: list[Signals], asked: int, by_std: bool = True) -> list[float]:
    """verl's advantages of one group, of each reply's last token."""
    result = group_rewards(group, WEIGHTS, asked)
    scores = [s if t else 0.0 for s, t in zip(result.scores, result.trained_G, strict=True)]
    rewards, mask = torch.zeros(len(group), 5), torch.ones(len(group), 5)
    rewards[:, -1] = torch.tensor(scores)
    mask *= torch.tensor(result.trained_G)[:, None]
    uids = advantage_groups(["a"] * len(group), result.trained_G)
    found, _ = compute_grpo_outcome_advantage(
        rewards, mask, np.array(uids, dtype=object), norm_adv_by_std_in_grpo=by_std
    )
    return found[:, -1].tolist()


@pytest.mark.parametrize("by_std", [True, False])
@pytest.mark.parametrize("lone", [graded(0.9), FAILED])
def test_a_group_of_one_survivor_teaches_exactly_nothing(lone: Signals, by_std: bool) -> None:
    assert advantages([lone], 8, by_std) == [0.0]
    assert advantages([lone, FAILED, FAILED], 8, by_std) == [0.0] * 3


def test_what_verl_does_with_a_lone_reply_by_itself() -> None:
    """Why such groups are lost: its score becomes its advantage."""
    found, _ = compute_grpo_outcome_advantage(
        torch.tensor([[0.0, 1.0]]), torch.ones(1, 2), np.array(["a"], dtype=object)
    )
    assert found[0].tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


@pytest.mark.parametrize("by_std", [True, False])
@pytest.mark.parametrize("num_failed", [1, 2, 4])
def test_a_failed_sibling_changes_as_little_as_a_missing_one(num_failed: int, by_std: bool) -> None:
    group = [graded(q) for q in (0.1, 0.4, 0.5, 0.9)]
    missing = advantages(group, 4 + num_failed, by_std)
    failed = advantages([*group, *[FAILED] * num_failed], 4 + num_failed, by_std)
    assert failed[:4] == missing
    assert failed[4:] == [0.0] * num_failed
    assert failed[:4] == advantages(group, 4, by_std)
    assert sum(missing) == pytest.approx(0.0, abs=1e-5)


def jagged(rows: list[torch.Tensor]) -> torch.Tensor:
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)


def learn(trained: tuple[bool, ...], rows: tuple[int, ...] = (0, 1, 2, 3)) -> torch.Tensor:
    """Gradient of verl's loss, KL to the reference included, by each [row, reply token]."""
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.utils.losses import ppo_loss

    actor = omega_conf_to_dataclass(config().actor_rollout_ref.actor)
    torch.manual_seed(0)
    given = [torch.randn(3 + n) for n in LENGTHS]
    # Near enough that nothing is clipped; position t predicts token t + 1.
    old = [row[2:-1] + 0.05 * torch.rand(len(row) - 3) for row in given]
    reference = [row[2:-1] + 0.5 * torch.rand(len(row) - 3) for row in given]
    log_probs = [given[row].clone().requires_grad_() for row in rows]
    masks = jagged([torch.ones(LENGTHS[row], dtype=torch.int64) for row in rows])
    mask = without_gradient(masks, [trained[row] for row in rows])
    assert torch.equal(mask.offsets(), masks.offsets())
    data = TensorDict(
        {
            "prompts": jagged([torch.ones(3, dtype=torch.int64) for _ in rows]),
            "responses": jagged([torch.ones(LENGTHS[row], dtype=torch.int64) for row in rows]),
            "response_mask": mask,
            "old_log_probs": jagged([old[row] for row in rows]),
            "ref_log_prob": jagged([reference[row] for row in rows]),
            "advantages": jagged([torch.full((LENGTHS[row],), 0.5) for row in rows]),
        },
        batch_size=len(rows),
    )
    from verl.utils import tensordict_utils as tu

    # As FSDPEngine.train_batch does before it splits the batch.
    tokens = int(mask.values().sum())
    tu.assign_non_tensor(data, dp_size=1, batch_num_tokens=tokens, global_batch_size=len(rows))
    loss, _ = ppo_loss(actor, {"log_probs": jagged(log_probs)}, data)
    loss.backward()
    whole = torch.zeros(len(LENGTHS), max(LENGTHS))
    for row, tensor in zip(rows, log_probs, strict=True):
        assert tensor.grad is not None
        whole[row, : LENGTHS[row]] = tensor.grad[2:-1]
    return whole


def test_a_row_left_out_has_no_gradient_and_is_in_no_denominator() -> None:
    """The KL loss included: as if the row had not been in the batch at all."""
    assert config().actor_rollout_ref.actor.use_kl_loss
    assert config().actor_rollout_ref.actor.loss_agg_mode == "token-mean"
    everything = learn((True,) * 4)
    assert (everything[:, 0] != 0).all()
    left_out = learn((True, False, True, False))
    assert (left_out[[1, 3]] == 0).all()
    assert torch.allclose(left_out[[0, 2]], learn((True,) * 4, rows=(0, 2))[[0, 2]])
    assert not torch.allclose(left_out[0], everything[0])


def test_the_engine_counts_tokens_by_the_mask_that_the_trainer_writes() -> None:
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

    assert 'data["loss_mask"].sum()' in inspect.getsource(FSDPEngine.forward_backward_batch)
    source = inspect.getsource(PPOTrainer._compute_advantage)
    assert 'fields = ["uid", "response_mask", "rm_scores"' in source
    assert 'np.array(data.batch.pop("uid").tolist()' in source
    loop = inspect.getsource(PPOTrainer._step_once)
    order = ["_balance_batch(", "_compute_ref_log_prob(", "_compute_advantage(", "_update_actor("]
    places = [loop.index(name) for name in order]
    assert places == sorted(places)


def test_memory_is_reported_under_the_names_that_are_translated() -> None:
    from verl.utils.py_functional import rename_dict
    from verl.workers.engine_workers import TrainingWorker

    from mint.verl.step_metrics import translate

    source = inspect.getsource(TrainingWorker._postprocess_output)
    own = ("max_memory_allocated_gb", "max_memory_reserved_gb", "cpu_memory_used_gb")
    assert all(f'"perf/{name}"' in source for name in own)
    sent = rename_dict({f"perf/{name}": 2.5 for name in own}, "actor/")
    names = ("memory/trainer_gb", "memory/trainer_reserved_gb", "memory/host_gb")
    assert translate(sent) == dict.fromkeys(names, 2.5)


def test_an_update_is_skipped_when_the_gradient_is_not_finite() -> None:
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

    source = inspect.getsource(FSDPEngine.optimizer_step)
    assert "if not torch.isfinite(grad_norm):" in source
    assert "return grad_norm.item()" in source


class Batch:
    """What the trainer knows of a batch's rows."""

    partition_id = "train"

    def __init__(self, keys: list[str], lengths: list[int]) -> None:
        self.keys = keys
        self.tags = [{"response_len": n} for n in lengths]

    def __len__(self) -> int:
        return len(self.keys)


class Queue:
    """TransferQueue's two calls, in memory; tensors come back jagged, as from the real one."""

    def __init__(self, rows: dict[str, dict[str, Any]]) -> None:
        self.rows = rows

    def kv_batch_get(self, keys: list[str], partition_id: str, select_fields: list[str]) -> Any:
        from verl.utils.tensordict_utils import list_of_dict_to_tensordict

        chosen = [f for f in select_fields if all(f in self.rows[key] for key in keys)]
        return list_of_dict_to_tensordict(
            [{field: self.rows[key][field] for field in chosen} for key in keys]
        )

    def kv_batch_put(self, keys: list[str], partition_id: str, fields: Any) -> None:
        assert len(fields) == len(keys)
        for row, key in enumerate(keys):
            for field in list(fields.keys()):
                value = fields[field][row]
                self.rows[key][field] = getattr(value, "data", value)


def test_the_trainer_and_verl_agree_on_what_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """From graded replies through mint's scores to verl's advantages and masks: one reply failed,
    two are missing (a lone one is left in its group), one row is verl's padding."""
    from verl.trainer.ppo.v1 import trainer_base

    from mint.verl import trainer as mint_trainer
    from mint.verl.group_reward import Asked, step_rewards
    from mint.verl.wire import GradedReply

    fixed: Any = ("", "", "c", 0, (0.0,) * 10, (), (), {}, 0.0)
    graded_rows = [
        GradedReply(signals, *fixed) for signals in (graded(0.2), FAILED, graded(0.8), graded(0.9))
    ]
    uids = ["a", "a", "a", "b"]
    positions = [0, 2, 3, 4]
    keys = ["a_0_0", "pad1_0_0", "a_1_0", "a_2_0", "b_2_0"]
    lengths = [3, 1, 5, 2, 4]
    rows = {
        key: {
            "uid": key.split("_")[0],
            "response_mask": torch.full((n,), int("pad" not in key), dtype=torch.int64),
            "loss_mask": torch.full((n,), int("pad" not in key), dtype=torch.int64),
            "rm_scores": torch.full((n,), 7.0),
            "old_log_probs": torch.zeros(n),
        }
        for key, n in zip(keys, lengths, strict=True)
    }
    queue = Queue(rows)
    for module in (mint_trainer, trainer_base):
        monkeypatch.setattr(module.tq, "kv_batch_get", queue.kv_batch_get)
        monkeypatch.setattr(module.tq, "kv_batch_put", queue.kv_batch_put)
    batch = Batch(keys, lengths)
    made = mint_trainer.MintTrainer.__new__(mint_trainer.MintTrainer)
    made.config = config("algorithm.rollout_correction=null")
    result = step_rewards(graded_rows, uids, WEIGHTS, Asked(prompts=2, replies=4))
    assert result.trained == (True, False, True, False)
    made._write_scores(batch, result, uids, positions)
    assert made._trains
    trainer_base.PPOTrainer._compute_advantage(made, batch, {})

    found = {key: row["advantages"].tolist() for key, row in rows.items()}
    each = 1 / math.sqrt(2)
    assert found["a_0_0"] == pytest.approx([-each] * 3, abs=1e-4)
    assert found["a_2_0"] == pytest.approx([each] * 2, abs=1e-4)
    for key in ("a_1_0", "b_2_0", "pad1_0_0"):
        assert set(found[key]) == {0.0}
    for field in ("response_mask", "loss_mask"):
        kept = {key: row[field].tolist() for key, row in rows.items()}
        assert kept["a_0_0"] == [1, 1, 1]
        assert kept["a_2_0"] == [1, 1]
        assert not any(kept["a_1_0"] + kept["b_2_0"] + kept["pad1_0_0"])

    lost = step_rewards(graded_rows[3:], uids[3:], WEIGHTS, Asked(prompts=2, replies=4))
    made._write_scores(Batch(keys[4:], lengths[4:]), lost, uids[3:], [0])
    assert not made._trains
    assert made._update_actor(batch, {}) is batch, "nothing to learn from: no update"


def test_a_step_without_any_reply_is_told_as_such() -> None:
    from types import SimpleNamespace

    from mint.verl.group_reward import Asked
    from mint.verl.trainer import MintTrainer
    from rewards.errors import GraderError

    made = MintTrainer.__new__(MintTrainer)
    made._asked, made.global_steps = Asked(24, 8), 3
    with pytest.raises(GraderError, match="step 3: none of 24 x 8 replies came back"):
        made._balance_batch(SimpleNamespace(keys=[]), metrics={})
