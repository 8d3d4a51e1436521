"""The hooks of verl 0.9.1 that mint relies on: if one of these fails, read mint/verl/README.md."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="needs the cpu or gpu extra")
pytestmark = pytest.mark.contract


def run_on_cpu_platform(code: str) -> None:
    """Run code in a new process that has chosen verl's platform "cpu", as training does."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "VERL_PLATFORM": "cpu"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_version_is_the_supported_one() -> None:
    import verl

    from mint.machine.packages import needed

    assert verl.__version__ == needed("verl", "cpu") == needed("verl", "gpu")


def test_a_step_without_any_reply_is_told_as_such() -> None:
    from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

    from mint.verl.worker import NO_REPLY, NOTHING_CAME, describe

    assert NOTHING_CAME in inspect.getsource(ReplayBuffer)
    said = f"selected terminal groups with {NOTHING_CAME}. Enable sync_refill_failed_groups."
    told = describe(RuntimeError(said))
    # Of no kind of mint's: the supervisor adds the log's first error.
    assert (told["kind"], told["message"]) == ("RuntimeError", NO_REPLY)
    assert describe(RuntimeError("another"))["message"] == "another"


def test_importing_verl_loads_the_platform() -> None:
    code = (
        "import verl\nfrom verl.plugin.platform import get_platform\n"
        "import torch\nfrom verl.utils.device import get_device_id, get_torch_device\n"
        "assert get_platform().device_name == 'cpu'\n"
        "assert torch.zeros(1).to(get_device_id()).device.type == 'cpu'\n"
        "assert get_torch_device().max_memory_allocated() > 0\n"
    )
    run_on_cpu_platform(code)


def test_freed_memory_goes_back_to_the_system() -> None:
    """verl asks for it with every push of weights."""
    code = (
        "import verl, torch, psutil\nfrom verl.utils.device import get_torch_device\n"
        "rss = lambda: psutil.Process().memory_info().rss >> 20\n"
        "held = [torch.ones(25_000) for _ in range(4_000)]\n"
        "held = held[::40]\nbefore = rss()\n"
        "get_torch_device().empty_cache()\n"
        "assert before - rss() > 150, (before, rss())\n"
    )
    run_on_cpu_platform(code)
    import verl.workers.engine_workers as workers

    assert "get_torch_device().empty_cache()" in inspect.getsource(workers)


def test_platform_is_never_detected_by_itself() -> None:
    from mint.verl.cpu import CpuPlatform

    assert CpuPlatform().is_platform_available(use_smi_check=True) is False


def test_duplicate_backends_are_merged() -> None:
    code = (
        "import verl, torch.distributed as d\n"
        "d.init_process_group('cpu:gloo,cpu:gloo', store=d.HashStore(), rank=0, world_size=1)\n"
        "assert d.is_initialized(); d.destroy_process_group()\n"
    )
    run_on_cpu_platform(code)


def test_trainer_hooks_have_the_expected_signatures() -> None:
    from verl.trainer.main_ppo import run_ppo
    from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

    def names(function: object) -> list[str]:
        return list(inspect.signature(function).parameters)  # type: ignore[arg-type]

    assert names(PPOTrainerSync._compute_advantage) == ["self", "batch", "metrics"]
    assert names(PPOTrainerSync._compute_metrics)[:3] == ["self", "batch", "metrics"]
    assert names(PPOTrainerSync._build_replay_buffer) == ["self"]
    assert names(run_ppo) == ["config", "task_runner_class"]
    assert "poll_interval" in names(ReplayBuffer.__init__)


def test_validation_and_checkpoint_hooks_are_as_mint_expects() -> None:
    """Validation follows the save and the push; an early end is a smaller total_training_steps."""
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

    hook = inspect.signature(PPOTrainerSync._val_metrics_update)
    assert list(hook.parameters) == [
        "self",
        "data_sources",
        "sample_uids",
        "reward_extra_infos_dict",
        "sample_turns",
        "expected_acc_counts",
    ]
    for name in ("_load_checkpoint", "_save_checkpoint", "on_step_end"):
        assert list(inspect.signature(getattr(PPOTrainerSync, name)).parameters) == ["self"]
    assert PPOTrainerSync.fit is PPOTrainer.fit
    loop = inspect.getsource(PPOTrainer.fit)
    loop = loop[loop.index("while ") :]
    order = ["self._save_checkpoint()", "self.on_step_end()", "self._validate()"]
    places = [loop.index(name) for name in (*order, "self._compute_metrics(")]
    assert places == sorted(places)
    assert "self.global_steps <= self.total_training_steps" in loop
    assert "self.config.trainer.test_freq" in loop
    validate = inspect.getsource(PPOTrainer._validate)
    assert 'reward_extra_infos_dict["reward"]' in validate
    assert "return self._val_metrics_update(" in validate


def test_unlimited_checkpoints_are_left_to_mint() -> None:
    from verl.utils.checkpoint.checkpoint_manager import BaseCheckpointManager

    manager = BaseCheckpointManager.__new__(BaseCheckpointManager)
    manager.previous_saved_paths = []
    removed: list[str] = []
    manager.remove_previous_save_local_path = removed.append  # type: ignore[method-assign]
    for step in range(5):
        manager.ensure_checkpoint_capacity(None)  # type: ignore[arg-type]
        manager.register_checkpoint(f"global_step_{step}", None)  # type: ignore[arg-type]
    assert removed == []


def test_loggers_are_those_of_verl() -> None:
    from verl.utils.tracking import Tracking

    from mint.training.trainer_keys import TRACKERS

    assert set(TRACKERS) == set(Tracking.supported_backend)


def test_words_of_settings_are_those_of_verl() -> None:
    from verl.trainer.ppo import core_algos as algos
    from verl.workers.config import FSDPActorConfig, FSDPOptimizerConfig

    import mint.verl.policy_loss
    import mint.verl.token_entropy
    from mint.training import verl_words as words

    assert set(words.ADVANTAGES) == {str(name.value) for name in algos.AdvantageEstimator}
    assert set(words.OWN_LOSSES) == {mint.verl.policy_loss.NAME, mint.verl.token_entropy.NAME}
    assert set(words.OWN_LOSSES + words.LOSSES) == set(algos.POLICY_LOSS_REGISTRY)
    ours, theirs = torch.tensor([-1.0]), torch.tensor([-1.5])
    for name in words.DISTANCES:
        assert algos.kl_penalty(ours, theirs, f"{name}+").isfinite()
    with pytest.raises(NotImplementedError):
        algos.kl_penalty(ours, theirs, "full")
    given = {"strategy": "fsdp2", "rollout_n": 2, "use_dynamic_bsz": True}
    for name in words.MEANS:
        FSDPActorConfig(loss_agg_mode=name, **given)
    with pytest.raises(ValueError, match="loss_agg_mode"):
        FSDPActorConfig(loss_agg_mode="mean", **given)
    with pytest.raises(AssertionError):
        FSDPOptimizerConfig(lr=1e-6, lr_scheduler_type="linear")


def test_a_checkpoint_is_whole_when_data_and_tracker_are_written() -> None:
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    save = inspect.getsource(PPOTrainer._save_checkpoint)
    order = [".save_checkpoint(", '"data.pt"', "torch.save(", '"latest_checkpointed_iteration.txt"']
    places = [save.index(part) for part in order]
    assert places == sorted(places)
    load = inspect.getsource(PPOTrainer._load_checkpoint)
    assert 'resume_mode == "resume_path"' in load


def test_reward_manager_is_found_by_verl() -> None:
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import resolve_reward_manager_cls

    from mint.config import compose, recipes
    from mint.verl.reward_manager import SignalRewardManager

    recipes.register(recipes.find_recipes())
    config = compose.compose_config(["+recipe=mint_tiny"])
    found = resolve_reward_manager_cls(OmegaConf.create({"reward": config.reward}))
    assert found.__name__ == SignalRewardManager.__name__
    assert list(inspect.signature(found.__init__).parameters)[1:] == [
        "config",
        "tokenizer",
        "compute_score",
        "reward_router_address",
        "reward_model_tokenizer",
    ]


@pytest.mark.parametrize("by_std", [True, False])
def test_a_mean_filled_reply_has_exactly_no_advantage(by_std: bool) -> None:
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    scores = [0.2, 0.9, 0.5, (0.2 + 0.9 + 0.5) / 3]
    rewards = torch.zeros(4, 5)
    rewards[:, -1] = torch.tensor(scores)
    advantages, _ = compute_grpo_outcome_advantage(
        rewards,
        torch.ones(4, 5),
        np.array(["a"] * 4, dtype=object),
        norm_adv_by_std_in_grpo=by_std,
    )
    assert advantages[3].abs().max() < 1e-6
    assert advantages[1].min() > 0.3


def test_rollout_packs_weights_again_after_a_push_and_keeps_them() -> None:
    code = (
        "import torch, vllm.model_executor.layers.utils as u\n"
        "from vllm.platforms import current_platform\n"
        "import mint.verl.cpu_rollout\n"
        "current_platform.import_kernels()\n"
        "torch.set_grad_enabled(False)\n"
        "x = torch.randn(5, 576)\n"
        "for dtype in (torch.float32, torch.bfloat16):\n"
        "    layer = torch.nn.Linear(576, 960, bias=False).to(dtype)\n"
        "    for push in range(2):\n"
        "        layer.weight.data.copy_(torch.randn(960, 576) / 24)\n"
        "        wanted = x.to(dtype) @ layer.weight.T\n"
        "        if push:\n"
        "            stale = u.cpu_unquantized_gemm(layer, x.to(dtype), layer.weight)\n"
        "            assert (stale - wanted).abs().max() > 1\n"
        "        u.dispatch_cpu_unquantized_gemm(layer, remove_weight=True)\n"
        "        assert layer.weight.shape == (960, 576)\n"
        "        assert layer.cpu_linear is not torch.nn.functional.linear\n"
        "        made = u.cpu_unquantized_gemm(layer, x.to(dtype), layer.weight)\n"
        "        torch.testing.assert_close(made, wanted, rtol=0.01, atol=0.02)\n"
    )
    run_on_cpu_platform(code)


def test_two_runs_on_one_machine_push_weights_through_sockets_of_their_own() -> None:
    """verl names the socket after the Ray job: the first one in every Ray that a run starts."""
    code = (
        "import asyncio, os, ray\n"
        "from types import SimpleNamespace as Some\n"
        "import mint.verl.cpu_engine\n"
        "from mint.verl.cpu_rollout import CpuWorkerExtension\n"
        "from verl.workers.rollout import base\n"
        "from verl.workers.rollout.vllm_rollout import ServerAdapter\n"
        "base.BaseRollout.__init__ = lambda self, config, *_: setattr(self, 'config', config)\n"
        "os.environ |= {'RANK': '0', 'RAY_LOCAL_WORLD_SIZE': '1', 'VERL_RAY_JOB_ID': '01000000'}\n"
        "config = Some(tensor_model_parallel_size=1, data_parallel_size=1,\n"
        "              pipeline_model_parallel_size=1, layered_summon=False,\n"
        "              engine_kwargs={'vllm': {'worker_extension_cls': 'a receiver'}})\n"
        "names = []\n"
        "async def tell(self, method, args=(), **_):\n"
        "    getattr(receiver, method)(*args)\n"
        "async def push(self, weights):\n"
        "    assert self.zmq_handle == receiver._get_zmq_handle()\n"
        "    names.append(self.zmq_handle)\n"
        "ServerAdapter._execute_method, ServerAdapter.update_weights = tell, push\n"
        "for port in ('6379', '6380'):\n"
        "    context = Some(get_job_id=lambda: '01000000',\n"
        "                   get_session_name=lambda: f'session_{port}')\n"
        "    ray.get_runtime_context = lambda: context\n"
        "    receiver = object.__new__(CpuWorkerExtension)\n"
        "    receiver.model_runner, receiver.local_rank = None, 0\n"
        "    asyncio.run(base.get_rollout_class('vllm')(config, None, None).update_weights(None))\n"
        "assert names == ['ipc:///tmp/rl-colocate-zmq-01000000-replica-0-rank-0-session_'\n"
        "                 f'{port}.sock' for port in (6379, 6380)]\n"
    )
    run_on_cpu_platform(code)


def test_rollout_threads_come_from_the_engines_arguments() -> None:
    code = (
        "import torch\n"
        "from types import SimpleNamespace as Some\n"
        "from mint.verl.cpu_rollout import CpuWorkerExtension\n"
        "class Worker(CpuWorkerExtension):\n"
        "    def __init__(self, **kwargs): pass\n"
        "torch.set_num_threads(2)\n"
        "config = Some(additional_config={}, weight_transfer_config=None, quant_config=None,\n"
        "              model_config=None)\n"
        "Worker(vllm_config=config)\n"
        "assert torch.get_num_threads() == 2\n"
        "config.additional_config['num_threads'] = 1\n"
        "Worker(vllm_config=config)\n"
        "assert torch.get_num_threads() == 1\n"
    )
    run_on_cpu_platform(code)


def test_vllm_lets_a_cpu_engine_work_in_its_own_process() -> None:
    """What `VLLM_ENABLE_V1_MULTIPROCESSING=0` is set for in `mint.verl.environment`."""
    import vllm.platforms.cpu as cpu
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.sampling_params import SamplingParams

    source = inspect.getsource(cpu.CpuPlatform.check_and_update_config)
    at = source.index('os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING", "1") == "1"')
    assert 'parallel_config.distributed_executor_backend = "mp"' in source[at : at + 500]
    assert {"additional_config", "stream_interval", "block_size"} <= set(
        AsyncEngineArgs.__dataclass_fields__
    )
    assert SamplingParams(detokenize=False).detokenize is False


def test_the_update_is_behind_the_hooks_that_measure_it() -> None:
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

    once = inspect.getsource(PPOTrainerSync._step_once)
    order = ["self._compute_old_log_prob(", "self._compute_advantage(", "self._update_actor("]
    assert [once.find(name) for name in order] == sorted(once.find(name) for name in order)
    assert once.rstrip().endswith("return batch")
    assert "self.agent_loop_manager = agent_loop_manager" in inspect.getsource(PPOTrainerSync.fit)


def test_reference_engine_builds_without_offload_policy() -> None:
    from verl.workers.engine.base import EngineRegistry

    import mint.verl.cpu_engine as cpu_engine

    for backend in ("fsdp", "fsdp2"):
        registered = EngineRegistry._engines["language_model"][backend]["cpu"]
        found = registered if inspect.isclass(registered) else registered[None]
        assert found is cpu_engine.CpuFSDPEngineWithLMHead


def test_the_start_can_be_followed() -> None:
    """`mint.verl.phases`: verl logs these lines in this order and calls these methods."""
    from verl.trainer.ppo.v1 import trainer_base
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

    from mint.verl.phases import PHASES, VERL_LOGGER

    assert trainer_base.logger.name == VERL_LOGGER
    setup = inspect.getsource(PPOTrainerSync._setup)
    wanted = [
        "self._init_dataloader()",
        *(phase.logged for phase in PHASES.values() if phase.logged),
        "self._load_checkpoint()",
    ]
    places = [setup.find(part) for part in wanted]
    assert -1 not in places
    assert places == sorted(places)
    init = inspect.getsource(PPOTrainerSync.init)
    assert init.find("self._setup()") < init.find("self.on_init_end()")
    assert "self.on_sample_end()" in inspect.getsource(PPOTrainerSync._step_once)


def test_a_request_to_end_is_seen_by_the_loop() -> None:
    """`mint.verl.requests`: on_step_end comes before the loop looks at total_training_steps."""
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

    fit = inspect.getsource(PPOTrainerSync.fit)
    parts = (
        "self.step(metrics, ",
        "self._save_checkpoint()",
        "self.on_step_end()",
        "_compute_metrics",
    )
    assert [fit.find(part) for part in parts] == sorted(fit.find(part) for part in parts)
    assert "self.global_steps <= self.total_training_steps" in fit
    assert "self.on_step_end()" in fit


def test_the_runner_is_started_as_ours() -> None:
    """`mint.verl.runner.RunnerHere`: what verl does with a runner's class, and the queue's name."""
    import transfer_queue.interface
    from verl.trainer import main_ppo

    from mint.verl import runner

    source = inspect.getsource(main_ppo.run_ppo)
    assert "task_runner_class.remote()" in source
    assert "task_runner_class.options(runtime_env=" in source
    queue = inspect.getsource(transfer_queue.interface)
    assert f'name="{runner._QUEUE}", namespace="{runner._QUEUE_NAMESPACE}"' in queue
