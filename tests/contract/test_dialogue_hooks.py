"""What dialogues rely on in verl 0.9.1: if one of these fails, read mint/verl/README.md."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="needs the cpu or gpu extra")
pytestmark = pytest.mark.contract


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_builder_is_called_as_it_wants() -> None:
    from verl.utils.tokenizer.continuous_token import ContinuousTokenBuilder as Builder
    from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder

    assert parameters(Builder.build_initial_tokens)[:2] == ["self", "messages"]
    assert parameters(Builder.merge_context_tokens)[:4] == [
        "self",
        "previous_messages",
        "updated_messages",
        "runtime_token_ids",
    ]
    assert "chat_template_kwargs" in parameters(create_continuous_token_builder)


def test_verl_cuts_long_prompts_from_the_left() -> None:
    from verl.experimental.agent_loop.agent_loop import AgentLoopBase

    loop = SimpleNamespace(rollout_config=SimpleNamespace(prompt_length=3))
    assert AgentLoopBase._cap_text_prompt_length(loop, [1, 2, 3, 4, 5]) == [3, 4, 5]
    assert "_cap_text_prompt_length" in inspect.getsource(AgentLoopBase.ct_build_initial_tokens)


def test_only_fields_that_are_given_are_stored() -> None:
    from verl.experimental.agent_loop.agent_loop import AgentLoopOutput

    row = AgentLoopOutput(prompt_ids=[1], response_ids=[2], response_mask=[1], metrics={}).as_dict()
    assert "num_turns" not in row
    assert "rollout_log_probs" not in row


def test_a_session_has_one_score_and_rows_are_keyed_by_it() -> None:
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
    from verl.trainer.ppo.v1 import agent_loop_tq

    source = inspect.getsource(agent_loop_tq)
    assert 'f"{uid}_{session_id}_{i}"' in source
    assert 'field["loss_mask"] = field["response_mask"]' in source
    assert '"min_global_steps": field["extra_fields"].get("min_global_steps")' in source
    score = inspect.getsource(AgentLoopWorker._compute_score)
    assert '"tool_extra_fields"' in score
    assert 'final_output.extra_fields["reward_extra_info"]' in score


def test_a_reward_on_a_token_of_the_seeker_is_lost() -> None:
    from verl.trainer.ppo.core_algos import compute_gae_advantage_return

    mask = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    values = torch.zeros(1, 4)
    for place, found in ((3, 0.0), (1, 1.0)):
        rewards = torch.zeros(1, 4)
        rewards[0, place] = 1.0
        _, returns = compute_gae_advantage_return(rewards, values, mask, 1.0, 1.0)
        assert returns[0, 0].item() == found


def test_a_group_of_one_would_be_taught_its_raw_score() -> None:
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    rewards = torch.zeros(1, 3)
    rewards[0, -1] = 0.7
    uids = np.array(["a"], dtype=object)
    found, _ = compute_grpo_outcome_advantage(rewards, torch.ones(1, 3), uids)
    assert found[0, 0].item() == pytest.approx(0.7, abs=1e-4)


def test_the_loss_counts_tokens_by_loss_mask_and_masks_by_response_mask() -> None:
    from verl.workers.engine.fsdp import transformer_impl
    from verl.workers.utils import losses

    assert 'data["loss_mask"]' in inspect.getsource(transformer_impl.FSDPEngine)
    assert 'data["response_mask"]' in inspect.getsource(losses)


def test_the_trainer_has_the_hooks_of_dialogues() -> None:
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

    for name in ("_get_required_batch_multiple", "_update_actor", "_update_critic"):
        assert hasattr(PPOTrainerSync, name)
    source = inspect.getsource(PPOTrainerSync._compute_advantage)
    assert '"advantages", "returns"' in source
    assert "use_critic" in inspect.getsource(PPOTrainerSync._get_required_batch_multiple)


def test_glm_alone_is_known_to_take_back_sampled_tokens() -> None:
    from verl.utils.tokenizer import continuous_token_wiring as wiring
    from verl.utils.tokenizer.continuous_token import GLMContinuousTokenBuilder

    from mint.training.dialogues import TAKES_BACK

    found = {
        kind
        for kind, family in wiring._MODEL_TYPE_TO_FAMILY.items()
        if issubclass(wiring.get_continuous_token_builder_class(family), GLMContinuousTokenBuilder)
    }
    assert found == TAKES_BACK


def test_missing_probes_are_no_missing_dialogues() -> None:
    from mint.config.validation import PROBE_SOURCE
    from mint.verl.trainer import num_missing

    asked = {("dialogue", "a"): 1, ("dialogue", "b"): 1, (PROBE_SOURCE, "c"): 1}
    assert num_missing(asked, ["dialogue", "dialogue"]) == 0
    assert num_missing(asked, ["dialogue", PROBE_SOURCE]) == 1
    assert num_missing({}, ["dialogue"]) == 0
