"""The on-policy loss is PPO's with recomputed old log-probabilities, and measures agreement."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from verl import DataProto
from verl.trainer.ppo.core_algos import get_policy_loss_fn
from verl.utils.debug.metrics import calculate_debug_metrics
from verl.utils.metric import AggregationType, Metric, reduce_metrics
from verl.workers.config import FSDPActorConfig, PolicyLossConfig

from mint.training.on_policy import LOSS
from mint.verl.policy_loss import NAME, settle_agreement

pytestmark = pytest.mark.contract

ROWS, TOKENS = 6, 9


def actor_config(**more: Any) -> FSDPActorConfig:
    config = FSDPActorConfig(
        strategy="fsdp2",
        ppo_micro_batch_size_per_gpu=1,
        rollout_n=2,
        policy_loss=PolicyLossConfig(loss_mode=NAME),
        **more,
    )
    config.global_batch_info.update(dp_size=1, batch_num_tokens=37, global_batch_size=ROWS)
    return config


class Batch:
    """Replies of 1 to 9 tokens; the rollout's log-probabilities are a little off the trainer's."""

    def __init__(self, noise: float = 0.05) -> None:
        random = torch.Generator().manual_seed(3)
        self.trainer = -torch.rand(ROWS, TOKENS, generator=random) * 3
        self.rollout = self.trainer + noise * torch.randn(ROWS, TOKENS, generator=random)
        self.advantages = torch.randn(ROWS, 1, generator=random).expand(ROWS, TOKENS)
        lengths = torch.tensor([9, 1, 4, 7, 9, 7])
        self.mask = torch.arange(TOKENS) < lengths[:, None]

    def loss(self, mode: str, old: torch.Tensor, rows: slice = slice(None), **more: Any) -> Any:
        """(gradient of the trainer's log-probabilities, loss, metrics)."""
        log_prob = self.trainer[rows].clone().requires_grad_()
        loss, metrics = get_policy_loss_fn(mode)(
            old_log_prob=old[rows],
            log_prob=log_prob,
            advantages=self.advantages[rows],
            response_mask=self.mask[rows],
            config=actor_config(),
            **more,
        )
        loss.backward()
        return log_prob.grad, float(loss), metrics


@pytest.mark.parametrize("aggregate", ["token-mean", "seq-mean-token-mean"])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradient_are_vanilla_with_recomputed_old(aggregate: str, weighted: bool) -> None:
    batch = Batch()
    weights = torch.linspace(0.5, 1.5, ROWS * TOKENS).view(ROWS, TOKENS) if weighted else None
    more = {"loss_agg_mode": aggregate, "rollout_is_weights": weights}
    gradient, loss, _ = batch.loss("vanilla", batch.trainer, **more)
    own_gradient, own_loss, _ = batch.loss(NAME, batch.rollout, **more)
    assert torch.allclose(own_gradient, gradient, rtol=1e-6, atol=0)
    assert own_loss == pytest.approx(loss, rel=1e-6)
    assert (own_gradient[~batch.mask] == 0).all()


def test_rollouts_that_disagree_do_not_change_it() -> None:
    near, far = Batch(noise=0.0), Batch(noise=2.0)
    assert torch.equal(near.loss(NAME, near.rollout)[0], far.loss(NAME, far.rollout)[0])
    assert not torch.allclose(
        near.loss("vanilla", near.rollout)[0], far.loss("vanilla", far.rollout)[0]
    )


def collected(batch: Batch, parts: list[slice]) -> dict[str, Any]:
    """Metrics of one update in several micro-batches, as verl adds them up."""
    held: dict[str, Metric] = {}
    for rows in parts:
        _, _, metrics = batch.loss(NAME, batch.rollout, rows)
        for name, value in Metric.from_dict(metrics, AggregationType.MEAN).items():
            held.setdefault(name, value.init_list()).append(value)
    return reduce_metrics(held)


@pytest.mark.parametrize("parts", [[slice(0, 6)], [slice(0, 1), slice(1, 5), slice(5, 6)]])
def test_agreement_is_verls_however_the_batch_is_cut(parts: list[slice]) -> None:
    batch = Batch(noise=0.3)
    metrics = {**collected(batch, parts), "actor/entropy_loss": 1.5, "actor/pg_loss": 0.1}
    settle_agreement(metrics)
    theirs = calculate_debug_metrics(
        DataProto.from_single_dict(
            {
                "rollout_log_probs": batch.rollout,
                "old_log_probs": batch.trainer,
                "response_mask": batch.mask,
                "responses": batch.mask.long(),
            }
        )
    )
    for name in ("training/rollout_actor_probs_pearson_corr", "training/rollout_probs_diff_mean"):
        assert metrics[name] == pytest.approx(float(theirs[name]), rel=1e-5)
    ratio = (batch.trainer - batch.rollout)[batch.mask]
    assert metrics["actor/ppo_kl"] == pytest.approx(float(-ratio.mean()), rel=1e-5)
    beyond = ((ratio.exp() - 1).abs() > 0.2).double().mean()
    assert 0 < beyond < 1
    assert metrics["actor/pg_clipfrac"] == pytest.approx(float(beyond))
    by_reply = ((batch.rollout - batch.trainer) * batch.mask).sum(-1) / batch.mask.sum(-1)
    expected = float(by_reply.abs().mean())
    assert metrics["rollout_corr/log_ppl_abs_diff"] == pytest.approx(expected, rel=1e-5)
    assert metrics["actor/entropy"] == 1.5
    assert not any("agreement" in name for name in metrics)


def test_figures_of_an_old_pass_stay() -> None:
    batch = Batch()
    metrics = collected(batch, [slice(0, 6)])
    metrics |= {"training/rollout_actor_probs_pearson_corr": 0.5, "actor/entropy": 2.0}
    metrics["actor/entropy_loss"] = 1.0
    settle_agreement(metrics)
    assert metrics["training/rollout_actor_probs_pearson_corr"] == 0.5
    assert metrics["actor/entropy"] == 2.0
    assert not any("agreement" in name for name in metrics)


def test_padding_rows_and_equal_probabilities_are_no_nan() -> None:
    batch = Batch()
    batch.mask = torch.zeros_like(batch.mask)
    metrics = collected(batch, [slice(0, 6)])
    settle_agreement(metrics)
    assert metrics == {}
    batch = Batch(noise=0.0)
    batch.trainer = batch.rollout = torch.full((ROWS, TOKENS), math.log(0.5))
    metrics = collected(batch, [slice(0, 6)])
    settle_agreement(metrics)
    assert "training/rollout_actor_probs_pearson_corr" not in metrics
    assert metrics["training/rollout_probs_diff_mean"] == 0


def test_tokens_outside_the_mask_are_in_no_figure() -> None:
    batch, other = Batch(), Batch()
    other.rollout = batch.rollout.masked_fill(~batch.mask, float("-inf"))
    figures = []
    for each in (batch, other):
        metrics = collected(each, [slice(0, 6)])
        settle_agreement(metrics)
        figures.append(metrics)
    assert figures[0] == figures[1]


def test_preflight_knows_its_name() -> None:
    assert NAME == LOSS


@pytest.mark.parametrize("old_pass", [False, True])
def test_the_collapse_alarm_sees_the_entropy_of_this_steps_update(
    monkeypatch: pytest.MonkeyPatch, old_pass: bool
) -> None:
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

    from mint.verl.reply_trainer import ReplyTrainer

    seen: list[Any] = []

    class Validation:
        def look(self, *given: Any) -> dict[str, float]:
            seen.append(given)
            return {"collapse/entropy": 1.0}

    def once(_: Any, metrics: dict[str, Any], *_rest: Any) -> str:
        made._graded = ["a reply of this step"]  # as _compute_advantage does
        metrics |= collected(Batch(), [slice(0, 6)]) | {"actor/entropy_loss": 1.25}
        if old_pass:
            metrics["training/rollout_actor_probs_pearson_corr"] = 0.75
            metrics["actor/entropy"] = 1.5
        return "batch"

    monkeypatch.setattr(PPOTrainerSync, "_step_once", once)
    made = ReplyTrainer.__new__(ReplyTrainer)
    made._validation, made._graded, made.global_steps = Validation(), ["an older one"], 7
    metrics: dict[str, Any] = {}
    assert made._step_once(metrics, {}, 8) == "batch"
    assert seen == [(7, ["a reply of this step"], 1.5 if old_pass else 1.25)]
    assert metrics["collapse/entropy"] == 1.0
    pearson = metrics["training/rollout_actor_probs_pearson_corr"]
    assert (pearson == 0.75) is old_pass
