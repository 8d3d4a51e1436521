"""One training run from a checked configuration: material, before, training, after, report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf, open_dict

from mint.config.schema import MintConfig, mint_config
from mint.evaluation.subjects import prompts_of_run
from mint.reporting.run import write_report
from mint.rundir.directory import RunDir
from mint.rundir.manifest import (
    RunFacts,
    amend_manifest,
    finish_manifest,
    identities,
    require_same_graders,
    start_manifest,
)
from mint.shell.console import say
from mint.shell.files import read_json_if_there, write_text_atomic
from mint.shell.processes import python_module
from mint.training import material, preflight
from mint.training.lines import alarms_on, format_alarms, format_step, format_validation
from mint.training.supervise import Limits, supervise
from mint.validation.prompts import write_prompts
from mint.validation.record import COLLAPSE, choose_export, read_stopped, read_validations
from mint.verl.checkpoint import checkpoints, export_model, newest_checkpoint
from mint.verl.environment import training_environment
from rewards.build import Graders, build_second_judge, ready_graders
from rewards.errors import ConfigError
from rewards.graders.embedded.encoder import resolve_dtype

COLLAPSED = 3
"""Exit status of a run that the collapse alarm has ended."""
_SERVED_FILES = ("prompts", "token_file", "cache", "record", "replay")


class Plan(NamedTuple):
    """A checked run."""

    mint: MintConfig
    missing: dict[str, str]
    """Material that is not there yet, see `mint.training.material.missing`."""
    report: preflight.Report


def plan(config: DictConfig) -> Plan:
    """Everything that can be checked before anything is built or started. Raises ConfigError."""
    mint = mint_config(config)
    check_run_dir(mint)
    missing = material.missing(config, mint)
    return Plan(mint, missing, preflight.check(config, mint, missing))


def dry_run(config: DictConfig) -> None:
    """Check the run and the graders without starting Ray, and print what the run would be."""
    ready = plan(config)
    ready_graders(ready.mint.encoder, ready.mint.tagger, ready.mint.judge)
    build_second_judge(ready.mint.second_judge)
    for line in ready.report.facts:
        say(line)
    for what in ready.missing.values():
        say(f"note: {what} is not there yet; the run builds it")
    for note in ready.report.notes:
        say(f"note: {note}")
    say(f"run        {ready.mint.run.dir}")
    say("all checks passed; nothing was started")


def run(config: DictConfig, overrides: Sequence[str]) -> int:
    """Train, evaluate and report. Returns 0, or COLLAPSED when the collapse alarm has ended the
    training; raises a MintError when the run fails."""
    started = time.monotonic()
    ready = plan(config)
    if ready.missing:
        material.build(config, ready.mint)
        ready = plan(config)  # with what could not be checked before
    mint = ready.mint
    graders = ready_graders(mint.encoder, mint.tagger, mint.judge)
    build_second_judge(mint.second_judge)  # a broken one fails before anything starts
    for note in ready.report.notes:
        say(f"note: {note}")
    _fill_verl_keys(config, mint)
    run_dir = _open(config, mint, graders, overrides)
    say(f"run directory {mint.run.dir}")
    try:
        if mint.validation.every_steps is not None:
            prepare_validation(config, mint, run_dir, graders)
        status = _stages(config, mint, run_dir)
    except BaseException as error:
        finish_manifest(run_dir, error)
        raise
    finish_manifest(run_dir)
    write_report(run_dir)
    say(f"done in {(time.monotonic() - started) / 60:.1f} min; report: {run_dir.report_path}")
    return status


def _open(
    config: DictConfig, mint: MintConfig, graders: Graders, overrides: Sequence[str]
) -> RunDir:
    """The run directory with configuration and manifest."""
    run_dir = RunDir.open(mint.run.dir) if mint.run.resume else RunDir.create(mint.run.dir)
    if mint.run.resume:
        require_same_graders(run_dir, identities(graders))
    write_text_atomic(run_dir.config_path, OmegaConf.to_yaml(config, resolve=True))
    start_manifest(
        run_dir,
        RunFacts(
            command=["python", "-m", "mint.train", *overrides],
            seeds={
                "run": mint.run.seed,
                "data": mint.data.seed,
                "policy": mint.policy.seed,
                "evaluation": mint.evaluation.seed,
            },
            data_files=[str(config.data.train_files), str(config.data.val_files)],
            graders=identities(graders),
            recipe=mint.run.name,
        ),
    )
    return run_dir


def _stages(config: DictConfig, mint: MintConfig, run_dir: RunDir) -> int:
    if mint.run.evaluate and not run_dir.before_path.exists():
        say("evaluating the policy before training")
        material.in_own_process("mint.evaluate", f"run={run_dir.path}", "which=before")
    train(config, mint, run_dir)
    status = export(mint, run_dir)
    if mint.run.evaluate:
        say("evaluating the trained policy")
        material.in_own_process("mint.evaluate", f"run={run_dir.path}", "which=after")
    return status


def prepare_validation(
    config: DictConfig, mint: MintConfig, run_dir: RunDir, graders: Graders
) -> None:
    """Write the prompts of the validations and say what they will be."""
    held_out = str(config.data.val_files)
    turns, probes = write_prompts(
        run_dir.prompts_path,
        held_out,
        mint.validation,
        prompts_of_run(held_out, mint),
        graders.tagger,
    )
    say(
        f"validating every {mint.validation.every_steps} steps on {turns} held-out turns and "
        f"{probes} safety probes"
    )
    if not probes:
        say("note: mint.validation.probes_per_category=0, so safety does not limit the choice")


def export(mint: MintConfig, run_dir: RunDir) -> int:
    """Write RUN/model from the chosen checkpoint and record the choice; returns the exit status.

    Raises TrainingError when there is no checkpoint.
    """
    validated = mint.validation.every_steps is not None
    best = read_json_if_there(run_dir.best_path) if validated else None
    choice = choose_export(mint.run.export, best, checkpoints(run_dir))
    stopped = read_stopped(run_dir)
    if stopped is not None:
        say(f"training ended early: {stopped.reason}")
    export_model(run_dir, choice.step)
    step = choice.step if choice.step is not None else max(checkpoints(run_dir))
    if choice.warning:
        say(f"WARNING: {choice.warning}")
    say(f"RUN/model is step {step} ({choice.which}: {choice.reason})")
    amend_manifest(
        run_dir,
        {
            "export": {**choice._asdict(), "step": step},
            "stopped": None if stopped is None else stopped._asdict(),
        },
    )
    return COLLAPSED if stopped is not None and stopped.kind == COLLAPSE else 0


def train(config: DictConfig, mint: MintConfig, run_dir: RunDir) -> None:
    """The training process under supervision. Raises TrainingError or GraderError."""
    total = int(config.trainer.total_training_steps or 0)
    resumed = newest_checkpoint(run_dir)
    at = f" from {resumed.name}" if resumed is not None else ""
    say(f"training{at} (the first step takes a minute or two to start; log: {run_dir.log_path})")
    began = time.monotonic()
    alarms: frozenset[str] = frozenset()

    def on_step(row: dict[str, Any]) -> None:
        nonlocal alarms
        say(format_step(row, total, time.monotonic() - began))
        for line in (*format_alarms(row, alarms), *_validation_lines(row, run_dir)):
            say(line)
        alarms = alarms_on(row)

    supervise(
        run_dir,
        python_module("mint.verl.worker", str(run_dir.path)),
        training_environment(config),
        Limits(start_s=mint.run.start_timeout_s, step_s=mint.run.step_timeout_s),
        on_step,
    )


def _validation_lines(row: dict[str, Any], run_dir: RunDir) -> list[str]:
    if "val/num_replies" not in row:
        return []
    best = row.get("val/best_step")
    best_step = None if best is None else int(best)
    made = [v for v in read_validations(run_dir) if v.step == row["step"]]
    return [line for v in made for line in format_validation(v, best_step)]


def check_run_dir(mint: MintConfig) -> None:
    """A new run needs a free directory, a resumed one its own."""
    path = Path(mint.run.dir)
    if mint.run.resume:
        if newest_checkpoint(RunDir.open(path)) is None:
            raise ConfigError(f"{path} has no checkpoint to resume from")
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(
            f"run directory {path} already exists; choose another mint.run.dir, or continue it "
            "with mint.run.resume=true"
        )


def _fill_verl_keys(config: DictConfig, mint: MintConfig) -> None:
    """verl keys that follow from mint's."""
    with open_dict(config):
        # Workers on other nodes, and a continuation on another processor, grade in the format that
        # the run begins with: it is a part of the graders' identity.
        config.mint.encoder.dtype = resolve_dtype(str(config.mint.encoder.dtype))
        config.trainer.resume_mode = "auto" if mint.run.resume else "disable"
        config.trainer.logger = list(dict.fromkeys(["tensorboard", *config.trainer.logger]))
        for key in ("train_files", "val_files"):
            config.data[key] = str(Path(str(config.data[key])).resolve())
        for grader in (config.mint.tagger, config.mint.judge):
            for key in _SERVED_FILES:
                if grader.served.get(key):
                    # Reward workers and later evaluations may run in another folder.
                    grader.served[key] = str(Path(grader.served[key]).expanduser().resolve())
        path = Path(str(config.actor_rollout_ref.model.path)).expanduser()
        if path.is_dir():
            config.actor_rollout_ref.model.path = str(path.resolve())
