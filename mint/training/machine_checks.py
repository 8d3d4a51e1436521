"""Whether this machine can do a run: packages, devices, and all that `mint.planning` counts."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from mint.config.schema import MintConfig
from mint.machine.facts import Machine
from mint.machine.packages import CPU, GPU, mismatches, plugin_is_registered, wrong_builds
from mint.planning.given import Given, assumptions
from mint.planning.plan import Plan, make_plan
from mint.policy.model_files import ModelFacts
from rewards.errors import ConfigError

_INSTALL = {
    CPU: "run `make install`, or see docs/install.md",
    GPU: "install the GPU stack as docs/install.md says",
}
_BUCKET = "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"


def check_machine(config: DictConfig, mint: MintConfig, machine: Machine) -> Plan:
    """The run's plan on this machine. Raises ConfigError for the first thing that cannot work.

    On a Ray cluster that is there already only what the driver needs is asked of this machine.
    """
    device = str(config.trainer.device)
    check_packages(machine, GPU if device == "cuda" else device)
    plan = make_plan(config, mint, assumptions(Given(), machine, config))
    if plan.run.cluster is None:
        check_devices(config, machine)
        if plan.problems:
            raise ConfigError(plan.problems[0].line())
    return plan


def check_packages(machine: Machine, stack: str) -> None:
    """The right versions of the right packages, and none that break them."""
    if stack not in (CPU, GPU):
        raise ConfigError(f"trainer.device must be cuda or cpu, got {stack!r}")
    device = "cuda" if stack == GPU else "cpu"
    wrong = wrong_builds(stack, machine.versions, machine.torch_cuda)
    missing = [miss.words() for miss in mismatches(stack, machine.versions) if miss.fatal]
    if missing:
        extra = "; vllm: requirements/vllm-name" if any("vllm" in m for m in missing) else ""
        raise ConfigError(
            f"trainer.device={device} cannot work with {', '.join(missing)}; {_INSTALL[stack]}"
            f"{extra if stack == CPU else ''}"
        )
    if wrong:
        fix = "" if "pip uninstall" in wrong[0] else f"; {_INSTALL[stack]}"
        raise ConfigError(f"trainer.device={device}: {wrong[0]}{fix}")
    if stack == CPU and not plugin_is_registered():
        raise ConfigError(
            "mint is on the path but not installed, so verl cannot load its CPU platform; run "
            "`pip install --no-deps -e .`"
        )


def check_devices(config: DictConfig, machine: Machine) -> None:
    """The GPUs that the run asks for are here, and the driver runs torch's CUDA."""
    nodes, wanted = int(config.trainer.nnodes), int(config.trainer.n_gpus_per_node)
    if nodes > 1:
        raise ConfigError(
            f"trainer.nnodes={nodes} needs a Ray cluster of so many machines; start one and set "
            "ray_kwargs.ray_init.address=auto (docs/cluster.md)"
        )
    if str(config.trainer.device) != "cuda":
        return
    if not machine.gpus:
        raise ConfigError(
            "trainer.device=cuda, but nvidia-smi shows no GPU here; `python -m mint.plan gpu=NAME` "
            "plans for one that is elsewhere, +recipe=mint_tiny trains without"
        )
    if len(machine.gpus) < wanted:
        raise ConfigError(
            f"trainer.n_gpus_per_node={wanted}, but {len(machine.gpus)} "
            f"{'is' if len(machine.gpus) == 1 else 'are'} visible here; set "
            f"trainer.n_gpus_per_node={len(machine.gpus)}"
        )
    cuda, built = machine.cuda, machine.torch_cuda
    if cuda is not None and built is not None and _major(cuda) < _major(built):
        raise ConfigError(
            f"torch was built for CUDA {built}, the driver ({machine.gpus[0].driver}) runs {cuda} "
            "at most; update the driver or install another build of torch"
        )
    attention = OmegaConf.select(config, "actor_rollout_ref.model.override_config")
    if (
        attention.get("attn_implementation") == "flash_attention_2"
        and "flash-attn" not in machine.versions
    ):
        raise ConfigError(
            "actor_rollout_ref.model.override_config.attn_implementation=flash_attention_2 needs "
            "the package flash-attn, which is not installed"
        )


def check_bucket(config: DictConfig, facts: ModelFacts, shm_free_gib: float) -> None:
    """Without device IPC a tensor larger than the transfer bucket cannot be pushed at all."""
    if config.trainer.device != "cpu" or not facts.largest_tensor_elements:
        return
    megabytes = int(OmegaConf.select(config, _BUCKET))
    needed = facts.largest_tensor_elements * 4 / 1024**2
    if megabytes < needed:
        raise ConfigError(
            f"{_BUCKET}={megabytes} MB is smaller than the model's largest tensor "
            f"({facts.largest_tensor}, {needed:.1f} MB in float32); set at least {int(needed) + 1}"
        )
    if shm_free_gib * 1024 < megabytes:
        raise ConfigError(
            f"{_BUCKET}={megabytes} MB does not fit in /dev/shm ({shm_free_gib * 1024:.0f} MB free)"
        )


def _major(version: str) -> int:
    return int(version.split(".")[0])
