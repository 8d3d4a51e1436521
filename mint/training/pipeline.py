"""One training run from a checked configuration: material, before, training, after, report."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from mint.config.schema import MintConfig, mint_config
from mint.evaluation.subjects import prompts_of_run
from mint.policy.building import in_own_process
from mint.policy.chat_template import keep_history
from mint.policy.model_files import model_fingerprint
from mint.reporting.run import write_report
from mint.rundir.directory import RunDir
from mint.rundir.manifest import (
    RunFacts,
    amend_manifest,
    finish_manifest,
    identities,
    made_by,
    note_failure,
    start_manifest,
)
from mint.rundir.resume import PROGRAM, GoingOn
from mint.shell.console import say
from mint.shell.files import read_json_if_there, write_text_atomic
from mint.shell.processes import python_module
from mint.shell.signals import on_signal
from mint.shell.statuses import COLLAPSED, SAVED
from mint.training import dialogues, material, preflight
from mint.training.filled_keys import fill_verl_keys
from mint.training.lines import alarms_on, format_alarms, format_step, format_validation
from mint.training.ray_arguments import check_ray_arguments, ignored_address
from mint.training.resuming import Changes, check_inputs, check_run_dir, go_on, is_trained
from mint.training.supervise import Limits, supervise
from mint.training.watched import watched
from mint.validation.record import COLLAPSE, choose_export, read_stopped, read_validations
from mint.verl import requests
from mint.verl.checkpoint import checkpoints, export_model, newest_checkpoint, resumable_step
from mint.verl.environment import training_environment
from mint.verl.step_record import restore_row
from rewards.build import Graders, build_second_judge, ready_graders

NOTHING: Changes = MappingProxyType({})


class Plan(NamedTuple):
    """A checked run."""

    mint: MintConfig
    missing: dict[str, str]
    """Material that is not there yet, see `mint.training.material.missing`."""
    report: preflight.Report
    changed: Mapping[str, tuple[str, str]]
    """Of a resumed run: inputs whose content is not its own any more, with both hashes."""


def plan(config: DictConfig, changes: Changes = NOTHING) -> Plan:
    """Everything that can be checked before anything is built or started. Raises ConfigError.

    `changes`: what a resumed run does differently from now on, see `mint.rundir.resume`.
    """
    mint = mint_config(config)
    check_run_dir(config, mint, changes)
    check_ray_arguments(config)
    missing = material.missing(config, mint)
    report = preflight.check(config, mint, missing)
    changed: Mapping[str, tuple[str, str]] = {}
    if mint.run.resume and not missing:
        changed = check_inputs(RunDir(Path(mint.run.dir)), mint, config)
    if note := ignored_address(config):
        report.notes.append(note)
    return Plan(mint, missing, report, changed)


def dry_run(config: DictConfig, changes: Changes = NOTHING) -> None:
    """Check the run and the graders without starting Ray, and print what the run would be."""
    ready = plan(config, changes)
    ready_graders(ready.mint.encoder, ready.mint.tagger, ready.mint.judge)
    build_second_judge(ready.mint.second_judge)
    for line in ready.report.facts:
        say(line)
    unbuilt = [f"{what} is not there yet; the run builds it" for what in ready.missing.values()]
    for note in (*unbuilt, *ready.report.notes):
        say(f"note: {note}")
    say(f"run        {ready.mint.run.dir}")
    if ready.mint.run.resume:
        say(f"goes on    from step {resumable_step(RunDir(Path(ready.mint.run.dir)))}")
    for key, (then, now) in changes.items():
        say(f"changes    {key}: {then} -> {now}")
    say("all checks passed; nothing was started")


def run(config: DictConfig, overrides: Sequence[str], changes: Changes = NOTHING) -> int:
    """Train, evaluate and report. Returns 0, COLLAPSED when the collapse alarm has ended the
    training, SAVED when it was asked to save and end; raises a MintError when the run fails."""
    started = time.monotonic()
    ready = plan(config, changes)
    if ready.missing:
        material.build(config, ready.mint)
        ready = plan(config, changes)  # with what could not be checked before
    mint = ready.mint
    graders = ready_graders(mint.encoder, mint.tagger, mint.judge)
    build_second_judge(mint.second_judge)  # a broken one fails before anything starts
    for note in ready.report.notes:
        say(f"note: {note}")
    fill_verl_keys(config, mint)
    if ready.report.prompts_fit:  # verl would count all of them again
        config.data.filter_overlong_prompts = False
    run_dir = RunDir(Path(mint.run.dir)) if mint.run.resume else RunDir.create(mint.run.dir)
    with run_dir.claimed(), ExitStack() as until_the_end:
        trained = mint.run.resume and is_trained(config, run_dir, changes)
        _open(run_dir, ready, graders, GoingOn(list(overrides), config, dict(changes)))
        say(f"run directory {mint.run.dir}")
        requests.withdraw(run_dir)
        if mint.run.watch:
            until_the_end.enter_context(watched(run_dir))
        try:
            with on_signal(signal.SIGUSR1, lambda: requests.ask(run_dir)):
                if mint.validation.every_steps is not None:
                    prepare_validation(config, mint, run_dir, graders)
                status = _stages(config, mint, run_dir, trained)
        except BaseException as error:
            note_failure(run_dir, error)
            raise
        finish_manifest(run_dir)
        if status == SAVED:
            amend_manifest(run_dir, {"status": "saved"})
            say(
                f"saved after step {requests.saved_step(run_dir)} and ended, as asked; go on with "
                f"mint train resume={mint.run.dir}"
            )
            return status
        write_report(run_dir)
    say(f"done in {(time.monotonic() - started) / 60:.1f} min; report: {run_dir.report_path}")
    return status


def _open(run_dir: RunDir, ready: Plan, graders: Graders, going_on: GoingOn) -> None:
    """Configuration and manifest of the run directory."""
    mint, config = ready.mint, going_on.config
    if mint.run.resume:
        go_on(run_dir, identities(graders), going_on, ready.changed)
        write_text_atomic(run_dir.config_path, OmegaConf.to_yaml(config, resolve=True))
        return
    write_text_atomic(run_dir.config_path, OmegaConf.to_yaml(config, resolve=True))
    start_manifest(
        run_dir,
        RunFacts(
            command=[*PROGRAM, *going_on.overrides],
            seeds={
                "run": mint.run.seed,
                "data": mint.data.seed,
                "policy": mint.policy.seed,
                "evaluation": mint.evaluation.seed,
            },
            data_files=[str(config.data.train_files), str(config.data.val_files)],
            graders=identities(graders),
            recipe=mint.run.name,
            model=model_fingerprint(str(config.actor_rollout_ref.model.path)),
            begun_from=made_by(str(config.actor_rollout_ref.model.path)),
        ),
    )


def _stages(config: DictConfig, mint: MintConfig, run_dir: RunDir, trained: bool) -> int:
    if mint.run.evaluate and not run_dir.before_path.exists():
        say("evaluating the policy before training")
        in_own_process("mint.evaluate", f"run={run_dir.path}", "which=before")
    if trained:
        say("all steps are trained already")
    else:
        restore_row(run_dir)
        train(config, mint, run_dir)
        if requests.saved_step(run_dir) is not None:
            return SAVED
    status = export(mint, run_dir)
    if mint.run.evaluate:
        say("evaluating the trained policy")
        in_own_process("mint.evaluate", f"run={run_dir.path}", "which=after")
    return status


def prepare_validation(
    config: DictConfig, mint: MintConfig, run_dir: RunDir, graders: Graders
) -> None:
    """Write the prompts of the validations and say what they will be."""
    held_out = str(config.data.val_files)
    turns, probes = dialogues.prompt_writer(mint.task)(
        run_dir.prompts_path,
        held_out,
        mint.validation,
        prompts_of_run(held_out, mint),
        graders.tagger,
    )
    say(
        f"validating every {mint.validation.every_steps} steps on {turns} held-out prompts and "
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
    if mint.task == "dialogues":
        keep_history(run_dir.model_path, enable_thinking=mint.data.enable_thinking)
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
    say(f"training{at} (log: {run_dir.log_path}); the start, phase by phase:")
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
