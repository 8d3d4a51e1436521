"""`mint prefer` from its settings to a finished run: evaluate, draw pairs, train, evaluate."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mint.config.evaluation import GenerationConfig
from mint.config.prompts import PromptConfig, prompts_of_card
from mint.data.dataset import CARD, TRAIN, VAL
from mint.data.synthetic import build_demo_data
from mint.evaluation.protocols.held_out import EvaluationResult, evaluate_model, write_comparison
from mint.evaluation.second import grade_canaries
from mint.policy.model_files import local_files
from mint.policy.tuned import FILE as TUNED
from mint.policy.tuned import check_tuned, write_tuned
from mint.preference import sampling
from mint.preference.files import read_pairs
from mint.preference.material import make_task
from mint.preference.pairs import Pair
from mint.preference.settings import PreferSettings
from mint.rundir.directory import RunDir
from mint.rundir.manifest import (
    amend_manifest,
    identities,
    identity_rows,
    read_manifest,
    require_same_graders,
)
from mint.shell.console import say
from mint.shell.files import read_json_if_there, read_json_lines, replacing_folder
from mint.tuning.command import Asked
from mint.tuning.loop import tune
from mint.tuning.model import (
    check_model,
    device_of,
    make_ready,
    write_model,
)
from mint.tuning.session import check_run, finish, opened
from rewards.build import Graders, build_second_judge, ready_graders
from rewards.errors import ConfigError
from rewards.protocols import EmpathyJudge

COMMAND = "prefer"


class _Judging(NamedTuple):
    graders: Graders
    second: EmpathyJudge | None


def run(asked: Asked) -> int:
    """Exit status of the command. Raises ConfigError or DataError before anything is written."""
    settings: PreferSettings = asked.settings
    check_run(asked)
    check_model(settings.model)
    _check_data(settings)
    device_of(settings.model)
    if asked.dry_run:
        say(f"all checks passed; the run would be in {asked.run.path}")
        return 0
    threads = torch.get_num_threads()
    try:
        return _run(asked, settings)
    finally:
        torch.set_num_threads(threads)


def _run(asked: Asked, settings: PreferSettings) -> int:
    model = make_ready(settings.model, settings.run.seed)
    files = _data_files(settings)
    _check_prompts(settings, model)
    judging = _judging(settings) if _grades(settings) else None
    with opened(asked, COMMAND, model, files) as asked_to_save:
        if judging is not None:
            if read_manifest(asked.run)["graders"]:
                require_same_graders(asked.run, identities(judging.graders))
            amend_manifest(asked.run, {"graders": identity_rows(judging.graders)})
            _evaluate(asked.run, settings, judging, model, "before")
        pairs, control = _pairs(asked.run, settings, judging, model)
        torch.set_num_threads(settings.model.num_threads)
        task, tuned_model, tokenizer = make_task(asked.run, settings, model, pairs, control)
        tuned = tune(asked.run, task, settings.loop, settings.run.seed, asked_to_save)
        if not tuned.saved:
            _write(asked.run, settings, tuned_model, tokenizer, model)
            if judging is not None:
                _evaluate(asked.run, settings, judging, str(asked.run.model_path), "after")
                _compare(asked.run, settings, judging)
        return finish(asked.run, tuned, {})


def _grades(settings: PreferSettings) -> bool:
    """Whether replies are graded at all: not with ready pairs and without an evaluation."""
    return settings.evaluate or settings.data.pairs is None


def _check_data(settings: PreferSettings) -> None:
    data = settings.data
    if data.pairs is not None:
        read_pairs(Path(data.pairs))
    for part in (TRAIN, VAL):
        path = Path(data.dir) / f"{part}.parquet"
        if _grades(settings) and data.source == "prepared" and not path.is_file():
            raise ConfigError(
                f"{path} does not exist; write it with `python -m mint.prepare "
                f"input=CONVERSATIONS.json output={data.dir}`, set data.dir, or take "
                "data.source=synthetic"
            )


def _data_files(settings: PreferSettings) -> list[Path]:
    """The files that the run depends on; generated ones are made where they are missing."""
    data = settings.data
    files = [] if data.pairs is None else [Path(data.pairs)]
    if not _grades(settings):
        return files
    rows = [Path(data.dir) / f"{part}.parquet" for part in (TRAIN, VAL)]
    if data.source == "synthetic" and not rows[0].is_file():
        say(f"generating {data.num_conversations} conversations in {data.dir}")
        build_demo_data(data.dir, data.num_conversations, 0)
    return files + rows


def _prompts(settings: PreferSettings) -> PromptConfig | None:
    """Of the data that replies are drawn to; None when none are, or no card tells."""
    card = read_json_if_there(Path(settings.data.dir) / CARD) if _grades(settings) else None
    return prompts_of_card(card or {})


def _check_prompts(settings: PreferSettings, model: str) -> None:
    """Raise ConfigError unless they are those that the model was tuned with before."""
    prompts = _prompts(settings)
    if prompts is None:
        return
    check_tuned(
        model,
        style=prompts.style,
        compact=prompts.compact,
        enable_thinking=settings.data.enable_thinking,
        template=None,
    )


def _write(
    run_dir: RunDir, settings: PreferSettings, tuned_model: Any, tokenizer: Any, model: str
) -> None:
    """RUN/adapter and, with it merged in, RUN/model."""
    if settings.model.adapter == "lora":
        with replacing_folder(run_dir.adapter_path, overwrite=True) as folder:
            tuned_model.save_pretrained(folder)
    with replacing_folder(run_dir.model_path, overwrite=True) as folder:
        write_model(tuned_model, tokenizer, folder, model)
        if (prompts := _prompts(settings)) is not None:
            write_tuned(folder, COMMAND, prompts, tokenizer, settings.data.enable_thinking)
        elif (began := local_files(model)) is not None and (began / TUNED).is_file():
            shutil.copy2(began / TUNED, folder / TUNED)


def _judging(settings: PreferSettings) -> _Judging:
    graders = ready_graders(settings.encoder, settings.tagger, settings.judge)
    return _Judging(graders, build_second_judge(settings.second_judge))


def _evaluate(
    run_dir: RunDir, settings: PreferSettings, judging: _Judging, model: str, label: str
) -> EvaluationResult | None:
    """One side of the held-out evaluation; what an interrupted run has of it is kept."""
    done = run_dir.before_path if label == "before" else run_dir.after_path
    if not settings.evaluate or done.is_file():
        return None
    say(f"evaluating {model} ({label})")
    return evaluate_model(
        model,
        Path(settings.data.dir) / f"{VAL}.parquet",
        graders=judging.graders,
        weights=settings.reward,
        settings=GenerationConfig(
            **asdict(settings.evaluation), enable_thinking=settings.data.enable_thinking
        ),
        label=label,
        out_dir=run_dir.evaluation_path,
        second=judging.second,
    )


def _compare(run_dir: RunDir, settings: PreferSettings, judging: _Judging) -> None:
    """What training changed, and the canaries of the graders."""
    if settings.evaluate:
        grade_canaries(judging.graders, judging.second, run_dir.evaluation_path)
        write_comparison(run_dir.evaluation_path, settings.evaluation)


def _pairs(
    run_dir: RunDir, settings: PreferSettings, judging: _Judging | None, model: str
) -> tuple[list[Pair], list[dict[str, Any]]]:
    """Pairs and control replies: given ones, those that the run has drawn, or new ones."""
    if settings.data.pairs is not None or judging is None:
        return read_pairs(Path(str(settings.data.pairs))), []
    if not (run_dir.path / sampling.PAIRS).is_file():
        rows = sampling.choose_rows(
            Path(settings.data.dir) / f"{TRAIN}.parquet", settings.pairs.max_prompts
        )
        asks = settings.pairs.min_second_gap is not None
        drawn = sampling.draw(
            rows, model, settings, judging.graders, judging.second if asks else None
        )
        sampling.write_drawn(drawn, run_dir.path)
        amend_manifest(run_dir, {"pairs": drawn.facts()})
        say(sampling.in_words(drawn.facts()))
    path = run_dir.path / sampling.PAIRS
    return read_pairs(path, ""), read_json_lines(run_dir.path / sampling.CONTROL)
