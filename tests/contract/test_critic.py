"""The critic: its engine against plain passes, and what verl's GAE does with rewards of turns."""

from __future__ import annotations

import inspect
import warnings
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="needs the cpu or gpu extra")
pytestmark = pytest.mark.contract

from tensordict import TensorDict  # noqa: E402
from transformers import Qwen3Config, Qwen3ForCausalLM  # noqa: E402
from verl.trainer.ppo.core_algos import (  # noqa: E402
    compute_gae_advantage_return,
    compute_grpo_outcome_advantage,
)

from mint.verl.packed_attention import ATTENTION  # noqa: E402
from mint.verl.value_engine import CpuValueEngine, PackedValueEngine, value_model  # noqa: E402
from rewards.dialogue import RLVER, group_credit  # noqa: E402
from rewards.talks import Talk, Turn  # noqa: E402


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a random small policy."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=97,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=True,
    )
    folder = tmp_path_factory.mktemp("policy")
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return str(folder)


def load(policy: str, attention: str = "sdpa") -> Any:
    config = Qwen3Config.from_pretrained(policy, attn_implementation=attention)
    return value_model(policy, config, torch.float32).eval()


def test_first_values_are_zero_on_the_policys_weights(policy: str) -> None:
    model = load(policy)
    assert not model(input_ids=torch.arange(7)[None]).logits.any()
    weights = Qwen3ForCausalLM.from_pretrained(policy).model.state_dict()
    assert all(torch.equal(model.model.state_dict()[k], v) for k, v in weights.items())


def test_packed_values_equal_one_pass_a_sequence(policy: str) -> None:
    model = load(policy)
    torch.nn.init.normal_(model.score.weight)
    rows = [torch.randint(0, 97, (n,)) for n in (9, 5, 12)]
    ids = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    positions = torch.nested.as_nested_tensor(
        [torch.arange(len(row)) for row in rows], layout=torch.jagged
    )
    batch = TensorDict({"input_ids": ids, "position_ids": positions}, batch_size=3)
    engine = CpuValueEngine.__new__(CpuValueEngine)
    inputs, rest = engine.prepare_model_inputs(batch)
    with torch.no_grad():
        expected = [model(input_ids=row[None]).logits[0, :, 0] for row in rows]
        model.set_attn_implementation(ATTENTION)
        values = engine.prepare_model_outputs(model(**inputs), rest, batch, None)["values"]
    for found, wanted in zip(values.unbind(), expected, strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)
        assert wanted.abs().max() > 0.1


def test_engines_are_registered_beside_verls_own() -> None:
    from verl.workers.engine.base import EngineRegistry

    engines = EngineRegistry._engines["value_model"]
    for backend in ("fsdp", "fsdp2"):
        assert engines[backend]["cpu"] is CpuValueEngine
        assert engines[backend][("cuda", "nvidia")] is PackedValueEngine


def test_critic_workers_import_their_engine() -> None:
    """The worker's module is all that its process imports before the engine is built."""
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer
    from verl.workers.engine_workers import TrainingWorker

    import mint.verl.critic as critic

    assert issubclass(critic.CriticWorker, TrainingWorker)
    assert critic.CriticWorker.__module__ == "mint.verl.critic"
    assert "EngineRegistry.new" in inspect.getsource(TrainingWorker.__init__)
    roles = inspect.getsource(PPOTrainer._init_resource_pool_mgr)
    assert "self.role_worker_mapping[Role.Critic] = ray.remote(TrainingWorker)" in roles
    assert list(inspect.signature(PPOTrainer._update_critic).parameters) == [
        "self",
        "batch",
        "metrics",
    ]
    setup = inspect.getsource(PPOTrainer._setup)
    assert "max_token_len_per_gpu = critic_cfg.ppo_infer_max_token_len_per_gpu" in setup


class _Base:
    def _init_resource_pool_mgr(self) -> None:
        from verl.trainer.ppo.ray_trainer import Role

        self.role_worker_mapping = {Role.Actor: "actor"} | self.found

    def _update_critic(self, batch: Any, metrics: dict[str, Any]) -> str:
        return "updated"


def test_only_a_critic_that_is_wanted_is_replaced() -> None:
    from verl.trainer.ppo.ray_trainer import Role

    from mint.verl.critic import CriticWorker, WithCritic

    class Trainer(WithCritic, _Base):  # type: ignore[misc]
        found: ClassVar[dict[Any, Any]] = {}

    trainer = Trainer()
    trainer._init_resource_pool_mgr()
    assert trainer.role_worker_mapping == {Role.Actor: "actor"}
    trainer.found = {Role.Critic: "verl's"}
    trainer._init_resource_pool_mgr()
    actor_class = trainer.role_worker_mapping[Role.Critic].__ray_metadata__.modified_class
    assert issubclass(actor_class, CriticWorker)
    trainer._trains = False
    assert trainer._update_critic("batch", {}) == "batch"
    trainer._trains = True
    assert trainer._update_critic("batch", {}) == "updated"


MASK = torch.tensor([[1, 1, 0, 0, 1, 1, 0]])
"""Two turns of the policy, each followed by the seeker's words."""


def gae(rewards: torch.Tensor) -> torch.Tensor:
    """Unwhitened: advantages are whitened, returns of a critic that says 0 are not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, returns = compute_gae_advantage_return(
            rewards, torch.zeros(1, 7), MASK, gamma=torch.tensor(1.0), lam=torch.tensor(1.0)
        )
    return returns


def test_a_reward_on_a_token_of_the_seeker_is_lost_and_ours_is_not() -> None:
    masked = torch.zeros(1, 7)
    masked[0, 6] = 1.0  # the last token of the row, as verl writes it
    assert not gae(masked)[MASK.bool()].any()
    talk = Talk(start=30.0, turns=(Turn(emotion=50.0), Turn(emotion=90.0)))
    credit = group_credit([talk], critic=True).talks[0]
    own = torch.zeros(1, 7)
    own[0, [1, 5]] = torch.tensor(credit.rewards_T)  # the last token of each turn
    assert gae(own)[MASK.bool()].tolist() == pytest.approx([0.6, 0.6, 0.4, 0.4])


def test_rlvers_group_credit_is_verls_grpo_but_for_the_baseline() -> None:
    finals = (20.0, 55.0, 100.0, 65.0)
    talks = [Talk(start=30.0, turns=(Turn(emotion=40.0), Turn(emotion=e))) for e in finals]
    rewards = torch.zeros(4, 7)
    rewards[:, 5] = torch.tensor(finals) / 100
    mask = MASK.repeat(4, 1)
    found, _ = compute_grpo_outcome_advantage(rewards, mask, np.array(["a"] * 4, dtype=object))
    ours = [talk.advantages_T[-1] for talk in group_credit(talks, RLVER).talks]
    assert ours == pytest.approx((found[:, 5] * 4 / 3).tolist(), abs=1e-5)


def test_no_architecture_without_a_head_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    import mint.verl.value_engine as engine

    headless = SimpleNamespace(from_pretrained=lambda *_, **__: torch.nn.Linear(1, 1))
    monkeypatch.setattr(engine, "AutoModelForTokenClassification", headless)
    with pytest.raises(ValueError, match="Linear has none of the heads score, classifier"):
        value_model("x", SimpleNamespace(), torch.float32)
