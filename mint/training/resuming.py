"""Where a run starts: in a free folder, or at the newest complete checkpoint of its own, which is
the beginning when it was interrupted before the first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mint.config.schema import MintConfig
from mint.policy.model_files import model_fingerprint
from mint.rundir.cutting import cut_after
from mint.rundir.directory import RunDir
from mint.rundir.manifest import read_manifest, require_same_graders, resume_manifest
from mint.rundir.resume import PROGRAM, GoingOn, changed_data
from mint.shell.console import say
from mint.shell.files import check_can_write
from mint.validation.record import read_stopped
from mint.verl.checkpoint import check_ranks, checkpoints, prepare_resume, resumable_step
from rewards.errors import ConfigError
from rewards.types import GraderIdentity

Changes = Mapping[str, tuple[Any, Any]]


def check_run_dir(config: DictConfig, mint: MintConfig, changes: Changes) -> None:
    """A new run needs a free directory, a resumed one its own, with steps left to do, and its
    checkpoints, if it has saved any, whole and for as many ranks. Raises ConfigError."""
    path = Path(mint.run.dir)
    if mint.run.resume:
        _check_resumed(config, RunDir.open(path), changes)
    elif not RunDir(path).is_free:
        raise ConfigError(
            f"run directory {path} already exists; choose another mint.run.dir, or continue it "
            f"with resume={path}"
        )
    check_can_write(path, "mint.run.dir")


def is_trained(config: DictConfig, run: RunDir, changes: Changes) -> bool:
    """Whether a resumed run has nothing left to train: it was interrupted after its last step, or
    after it had decided to end early."""
    step = resumable_step(run)
    total = config.trainer.total_training_steps
    stopped = read_stopped(run)
    return (total is not None and step >= int(total)) or (
        stopped is not None and stopped.step == step and not changes
    )


def check_inputs(run: RunDir, mint: MintConfig, config: DictConfig) -> dict[str, tuple[str, str]]:
    """Data files and starting policy whose content is not the run's, with both hashes.

    Raises ConfigError for the first unless mint.run.allow_changes is set.
    """
    manifest = read_manifest(run)
    keys = {str(Path(str(config.data[key])).resolve()): key for key in ("train_files", "val_files")}
    changed = {
        f"data.{keys[path]}={path}": hashes
        for path, hashes in changed_data(manifest, list(keys)).items()
    }
    model = str(config.actor_rollout_ref.model.path)
    then, now = manifest.get("model"), model_fingerprint(model)
    if then is not None and now is not None and then != now:
        changed[f"actor_rollout_ref.model.path={model}"] = then, now
    for name, (then, now) in changed.items():
        if not mint.run.allow_changes:
            raise ConfigError(
                f"{name} is not what this run was started with (sha256 {then[:12]} -> {now[:12]}); "
                "put that one back, or add mint.run.allow_changes=true"
            )
    return {f"{name} (sha256)": hashes for name, hashes in changed.items()}


def go_on(
    run: RunDir,
    graders: Mapping[str, GraderIdentity],
    going_on: GoingOn,
    changed: Mapping[str, tuple[str, str]],
) -> None:
    """Take the run back to its newest complete checkpoint, or to its beginning when it was
    interrupted before the first, and open its record again.

    Raises ConfigError when the graders are not those it began with.
    """
    require_same_graders(run, graders)
    step, half = prepare_resume(run)
    if not step:
        say("it was interrupted before its first checkpoint and begins again at step 0")
    for name in half:
        say(f"deleted {name}, of which only a part was saved")
    for name, rows in cut_after(run, step).items():
        say(f"{name}: {rows} rows after step {step} dropped")
    resume_manifest(
        run,
        [*PROGRAM, *going_on.overrides],
        from_step=step,
        config_diff={**going_on.changes, **changed},
    )


def _check_resumed(config: DictConfig, run: RunDir, changes: Changes) -> None:
    step = resumable_step(run)
    trainer = config.trainer
    ranks = int(trainer.n_gpus_per_node) * int(trainer.nnodes)
    if step:
        check_ranks(checkpoints(run)[step], ranks)
    else:
        _check_never_saved(run)
    if read_manifest(run)["status"] == "finished" and is_trained(config, run, changes):
        stopped = read_stopped(run)
        why = f": {stopped.reason}" if stopped is not None else ""
        raise ConfigError(
            f"the run in {run.path} is finished, its last step was {step}{why}; to train on, give "
            f"trainer.total_training_steps=N (now {trainer.total_training_steps}) or another limit"
        )


def _check_never_saved(run: RunDir) -> None:
    """Raise ConfigError when the record tells of a checkpoint although there is none."""
    last = max((row["step"] for row in run.read_metrics()), default=0)
    # A step is saved before it is logged. (verl saves never when save_freq is not positive.)
    saves = int(run.read_config().trainer.save_freq)
    if read_manifest(run)["status"] in ("finished", "saved") or 0 < saves <= last:
        raise ConfigError(
            f"the checkpoints of {run.path} are gone, and its record reaches step {last}; put them "
            "back, or start a new run in another folder"
        )
