"""The training process: `python -m mint.verl.worker RUN_DIR`, started by `mint.training.pipeline`.

Reads RUN/config.yaml, checks that verl sees mint's plug-in, trains, and leaves RUN/logs/error.json
when it fails. Everything it prints (verl, Ray, vLLM) goes to RUN/logs/verl.log.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig

from mint.rundir.directory import RunDir
from mint.shell.files import write_json
from mint.shell.processes import TrainingError
from mint.verl.cluster import fill_ray_arguments, not_let_in
from mint.verl.environment import training_environment
from mint.verl.phases import note
from rewards.errors import ConfigError, MintError

NOTHING_CAME = "no materializable trajectories"
"""What verl's replay buffer says of a step without a single reply, and proposes another setting."""
NO_REPLY = "none of a step's replies came back: every rollout or its reward worker raised or died"


def main(run_path: str) -> int:
    """Train the run in `run_path`; 0 when it finished."""
    run = RunDir(Path(run_path))
    try:
        _train(run.read_config(), run)
    except BaseException as error:
        traceback.print_exc()
        with suppress(OSError):  # a full disk
            write_json(run.error_path, describe(error))
        return 1
    return 0


def describe(error: BaseException) -> dict[str, str]:
    """Kind, message and traceback of what really went wrong, behind Ray's wrapper."""
    cause = getattr(error, "cause", None)
    root = cause if isinstance(cause, BaseException) else error
    message = str(root).strip().splitlines()[0] if str(root).strip() else repr(root)
    kind = next((t.__name__ for t in type(root).__mro__ if issubclass(t, MintError)), None)
    return {
        "kind": kind or type(root).__name__,
        "message": NO_REPLY if NOTHING_CAME in message else message,
        "traceback": str(error) if cause else "".join(traceback.format_exception(error)),
    }


def _train(config: DictConfig, run: RunDir) -> None:
    _check_plugin(str(config.trainer.device))
    from verl.trainer.main_ppo import run_ppo
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    from mint.verl.runner import RunnerHere

    validate_config(
        config=config,
        use_reference_policy=need_reference_policy(config),
        use_critic=need_critic(config),
    )
    import ray

    from mint.verl.nodes import NodeWatch

    fill_ray_arguments(config, training_environment(config), dict(os.environ))
    note(run, "python")
    watch = NodeWatch()
    try:
        with watch:
            run_ppo(config, task_runner_class=RunnerHere())
    except KeyboardInterrupt:
        if watch.lost:
            raise TrainingError(watch.lost) from None
        raise
    except ConnectionError as error:
        if ray.is_initialized():
            raise
        raise not_let_in(config, str(error)) from error
    finally:
        ray.shutdown()


def _check_plugin(device: str) -> None:
    """verl hides a plug-in that fails to import; find out before Ray starts."""
    if device != "cpu":
        return
    from verl.plugin.platform import get_platform

    import mint.verl.cpu  # noqa: F401  (a broken plug-in raises its own error here)

    if get_platform().device_name != "cpu":
        raise ConfigError(
            f"verl chose the platform {get_platform().device_name!r} although trainer.device is "
            "cpu; VERL_PLATFORM must be cpu in this process"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
