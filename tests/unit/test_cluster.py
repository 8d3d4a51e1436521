"""Which Ray a run uses, what its workers are told, and that a cluster has one run."""

from __future__ import annotations

from typing import Any

import pytest

from mint.config import compose, recipes
from mint.training.ray_arguments import check_ray_arguments, ignored_address
from mint.verl.cluster import fill_ray_arguments, not_let_in
from mint.verl.environment import training_environment
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _registered() -> None:
    recipes.register(recipes.find_recipes())


def composed(*overrides: str) -> Any:
    config = compose.compose_config(["+recipe=mint_tiny", *overrides])
    compose.finalise(config, recipe="mint_tiny", run_dir="outputs/x")
    return config


def filled(config: Any, **environment: str) -> dict[str, Any]:
    from omegaconf import OmegaConf

    fill_ray_arguments(config, training_environment(config), environment)
    return OmegaConf.to_container(config.ray_kwargs.ray_init)  # type: ignore[return-value]


def test_ray_is_started_locally_whatever_is_there() -> None:
    config = composed()
    assert training_environment(config)["RAY_ADDRESS"] == ""
    arguments = filled(config, RAY_ADDRESS="10.0.0.1:6379", WANDB_MODE="offline")
    assert arguments["address"] == "local"
    assert arguments["num_cpus"] == 64
    assert "WANDB_MODE" not in arguments["runtime_env"]["env_vars"], "inherited anyway"


def test_a_cpu_runs_processes_do_not_wait_busily() -> None:
    switches = training_environment(composed())
    assert switches["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert switches["TQ_NUM_THREADS"] == "1"
    given = composed().actor_rollout_ref.rollout.engine_kwargs.vllm
    assert given.distributed_executor_backend == "uni"
    assert given.additional_config.num_threads == 1
    gpu = composed("trainer.device=cuda")
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in training_environment(gpu)


def test_a_cluster_is_not_asked_for_what_it_has_decided() -> None:
    config = composed("ray_kwargs.ray_init.address=auto", "ray_kwargs.ray_init.namespace=mine")
    assert "RAY_ADDRESS" not in training_environment(config)
    arguments = filled(config)
    assert (arguments["address"], arguments["namespace"]) == ("auto", "mine")
    for name in ("num_cpus", "num_gpus", "object_store_memory"):
        assert arguments[name] is None, name


def test_workers_on_other_machines_get_the_environment_without_secrets() -> None:
    config = composed(
        "ray_kwargs.ray_init.address=10.0.0.1:6379",
        "+ray_kwargs.ray_init.runtime_env.env_vars.WANDB_MODE=online",
        "+ray_kwargs.ray_init.runtime_env.working_dir=.",
    )
    environment = {
        "WANDB_MODE": "offline",
        "WANDB_PROJECT": "mint",
        "WANDB_API_KEY": "secret",
        "HF_TOKEN": "secret",
        "HF_HOME": "/models",
        "NCCL_SOCKET_IFNAME": "eth0",
        "PATH": "/bin",
    }
    runtime = filled(config, **environment)["runtime_env"]
    assert runtime["working_dir"] == "."
    told = runtime["env_vars"]
    assert told["WANDB_MODE"] == "online", "what was typed wins"
    assert told["WANDB_PROJECT"] == "mint"
    assert told["HF_HOME"] == "/models"
    assert told["NCCL_SOCKET_IFNAME"] == "eth0"
    assert told["TENSORBOARD_DIR"].endswith("outputs/x/tensorboard")
    assert told["VERL_PLATFORM"] == "cpu"
    assert "secret" not in told.values()
    assert "PATH" not in told
    assert all(isinstance(value, str) for value in told.values())


@pytest.mark.parametrize(
    "override", ["+ray_kwargs.ray_init._system_config={a: 1}", "ray_kwargs.ray_init._temp_dir=/x"]
)
def test_arguments_of_ray_init_are_open(override: str) -> None:
    composed(override)


def test_what_ray_would_refuse_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"ray_init.namspace'; did you mean 'namespace'"):
        check_ray_arguments(composed("+ray_kwargs.ray_init.namspace=x"))
    with pytest.raises(ConfigError, match=r"has 60 characters; .* 43 at most"):
        check_ray_arguments(composed(f"ray_kwargs.ray_init._temp_dir=/{'x' * 59}"))
    check_ray_arguments(composed("+ray_kwargs.ray_init._node_ip_address=127.0.0.1"))


def test_an_address_that_is_not_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert ignored_address(composed()) == ""
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert "address=auto would use that cluster" in ignored_address(composed())
    assert ignored_address(composed("ray_kwargs.ray_init.address=auto")) == ""


def test_a_client_address_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"address=ray://head:10001 .*ray job submit"):
        composed("ray_kwargs.ray_init.address=ray://head:10001")


class FakeRay:
    """ray with an actor of some name in the cluster."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def get_actor(self, name: str, namespace: str) -> str:
        if name not in self._names:
            raise ValueError(f"Failed to look up actor with name '{name}'")
        return name


def test_a_cluster_with_a_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from mint.verl import runner

    monkeypatch.setattr(runner, "ray", FakeRay())
    runner.require_free_cluster()
    monkeypatch.setattr(runner, "ray", FakeRay("TransferQueueController"))
    with pytest.raises(ConfigError, match="another run of verl or mint uses this Ray cluster"):
        runner.require_free_cluster()


def test_a_cluster_that_lets_nobody_in_is_one_line() -> None:
    config = composed("ray_kwargs.ray_init.address=10.0.0.1:6379")
    said = "Failed to connect to Ray cluster at 10.0.0.1:6379"
    assert str(not_let_in(config, said)) == (
        f"{said} (ray_kwargs.ray_init.address=10.0.0.1:6379): it is down, or it wants a token: "
        "then set RAY_AUTH_MODE=token here, see docs/cluster.md"
    )


def test_workers_are_as_nice_as_the_run() -> None:
    assert training_environment(composed())["RAY_worker_niceness"] == "0"
