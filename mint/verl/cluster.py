"""The Ray cluster of a run: its own, or one that is there; what its processes are told.

Imports neither verl nor ray.
"""

from __future__ import annotations

from collections.abc import Mapping

from omegaconf import DictConfig, OmegaConf, open_dict

from rewards.errors import ConfigError

LOCAL = "local"
"""Value of ray_kwargs.ray_init.address for a cluster of the run's own on this machine."""
_OF_THE_CLUSTER = ("num_cpus", "num_gpus", "resources", "labels", "object_store_memory")
"""Arguments of ray.init that an existing cluster has decided already."""
_FORWARDED = ("HF_", "MLFLOW_", "NCCL_", "SWANLAB_", "TENSORBOARD_", "VERL_", "VLLM_", "WANDB_")
"""Prefixes of environment variables that workers on other machines need as well."""
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")


def is_local(config: DictConfig) -> bool:
    """Whether the run starts a Ray of its own."""
    return config.ray_kwargs.ray_init.address in (None, LOCAL)


def not_let_in(config: DictConfig, said: str) -> ConfigError:
    """What to say when the cluster of ray_kwargs.ray_init.address cannot be joined."""
    # Ray does not tell a head that is down from one that misses a token: it asks for one wherever
    # its user has one, and a run of a Ray of its own leaves one behind.
    return ConfigError(
        f"{said.strip().splitlines()[0] if said.strip() else 'no Ray cluster'} "
        f"(ray_kwargs.ray_init.address={config.ray_kwargs.ray_init.address}): it is down, or it "
        "wants a token: then set RAY_AUTH_MODE=token here, see docs/cluster.md"
    )


def fill_ray_arguments(
    config: DictConfig, switches: Mapping[str, str], environment: Mapping[str, str]
) -> None:
    """Complete ray_kwargs.ray_init: what workers need of the environment and, for a cluster that is
    there already, without what cannot be asked of it.

    `switches` are the run's own (`mint.verl.environment`), `environment` is this process's. Secrets
    stay here: Ray shows a job's variables to everyone who can see the cluster.
    """
    arguments = config.ray_kwargs.ray_init
    shared = {}
    if not is_local(config):
        shared = {
            name: value
            for name, value in environment.items()
            if name.startswith(_FORWARDED) and not name.endswith(_SECRET)
        }
    given = dict(OmegaConf.to_container(arguments.runtime_env) or {})  # type: ignore[arg-type]
    given["env_vars"] = {**shared, **switches, **(given.get("env_vars") or {})}
    with open_dict(config):
        arguments.address = arguments.address or LOCAL
        arguments.runtime_env = given
        if not is_local(config):
            for name in _OF_THE_CLUSTER:
                arguments[name] = None
