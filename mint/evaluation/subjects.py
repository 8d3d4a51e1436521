"""From the settings of an evaluation to what is evaluated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mint.config.prompts import PromptConfig, PromptStyle, prompt_style, prompts_of_card
from mint.config.schema import MintConfig, mint_config
from mint.data.dataset import CARD
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.protocols import ability, eq_bench
from mint.evaluation.sage.compare import write_comparison
from mint.evaluation.session import Session
from mint.evaluation.sources.local import LocalModel
from mint.evaluation.sources.ready import ReadyReplies
from mint.evaluation.sources.requests import ReplySource, Sampling
from mint.evaluation.sources.served import Endpoint, base_url
from mint.evaluation.trained_run import labels_of, model_path, rows_path
from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there
from rewards.build import (
    EncoderConfig,
    Graders,
    JudgeConfig,
    SecondJudgeConfig,
    TaggerConfig,
    build_second_judge,
    ready_graders,
)
from rewards.errors import ConfigError
from rewards.formula import RewardWeights
from rewards.protocols import EmpathyJudge

NEEDS_OUTPUT = "output=DIR is needed: the folder for results and journals"


class _Defaults(NamedTuple):
    """What a subject brings along."""

    prompts: PromptConfig
    data: str | None
    max_new_tokens: int = 2048
    thinking: bool = False
    weights: RewardWeights = RewardWeights()
    second: EmpathyJudge | None = None


def sessions(settings: EvaluateSettings) -> Iterator[Session]:
    """One session a subject: two for a run before and after. Raises ConfigError."""
    if settings.subject == "run":
        yield from _run_sessions(settings)
        return
    if settings.output is None:
        raise ConfigError(NEEDS_OUTPUT)
    graders = ready_graders(settings.encoder, settings.tagger, settings.judge)
    defaults = _Defaults(
        prompts=prompts_of(settings.data, PromptConfig()),
        data=settings.data,
        second=build_second_judge(settings.second_judge),
    )
    yield _session(settings, _source(settings), graders, defaults, Path(settings.output))


def ask_eq_bench(settings: EvaluateSettings) -> Iterator[tuple[Path, str]]:
    """EQ-Bench of each subject, or of a result file: (folder, score for people). Needs no grader.

    Raises ConfigError.
    """
    questions = Path(str(settings.questions))
    if settings.results is not None:
        output = Path(str(settings.output))
        yield (
            output,
            eq_bench.rescore(questions, Path(settings.results), output, settings.statistics),
        )
        return
    for source, output, thinking in _sources(settings):
        yield output, asyncio.run(_eq_bench(settings, source, questions, output, thinking))


async def _eq_bench(
    settings: EvaluateSettings, source: ReplySource, questions: Path, output: Path, thinking: bool
) -> str:
    sampling = Sampling(
        temperature=eq_bench.TEMPERATURE,
        top_p=1.0,
        max_new_tokens=settings.max_new_tokens or eq_bench.MAX_TOKENS,
        thinking=thinking if settings.thinking is None else settings.thinking,
        seed=settings.seed,
    )
    try:
        return await eq_bench.run(source, questions, output, sampling, settings.statistics)
    finally:
        await source.close()


def ask_ability(settings: EvaluateSettings) -> Iterator[tuple[Path, str]]:
    """Sums and instructions of each subject, greedy: (folder, shares for people), of a run before
    and after the differences last. Needs no grader. Raises ConfigError."""
    outputs = []
    for source, output, thinking in _sources(settings):
        sampling = Sampling(
            temperature=0.0,
            top_p=1.0,
            max_new_tokens=settings.max_new_tokens or ability.MAX_TOKENS,
            thinking=thinking if settings.thinking is None else settings.thinking,
            seed=settings.seed,
        )
        outputs.append(output)
        yield output, asyncio.run(_closing(source, output, sampling, settings))
    if len(outputs) == 2:
        yield outputs[1].parent, ability.compare(outputs[0], outputs[1], settings.statistics)


async def _closing(
    source: ReplySource, output: Path, sampling: Sampling, settings: EvaluateSettings
) -> str:
    try:
        return await ability.run(source, output, sampling, settings.statistics)
    finally:
        await source.close()


def compare_sage(settings: EvaluateSettings) -> str:
    """Write sage_comparison.json of a run's conversations before and after, above the folders of
    both; returns what it says, for people."""
    before, after = (path for _, path in _outputs(settings, RunDir.open(str(settings.run))))
    path, text = write_comparison(before, after, before.parent, settings.statistics)
    return f"== {path}\n\n{text}"


def _sources(settings: EvaluateSettings) -> Iterator[tuple[ReplySource, Path, bool]]:
    """(model, folder, whether it thinks) of each subject."""
    if settings.subject != "run":
        if settings.output is None:
            raise ConfigError(NEEDS_OUTPUT)
        yield _source(settings), Path(settings.output), False
        return
    run = RunDir.open(str(settings.run))
    config = run.read_config()
    thinking = mint_config(config).data.enable_thinking
    for label, output in _outputs(settings, run):
        path = model_path(run, config, label)
        yield LocalModel(path, settings.batch_size, settings.engine), output, thinking


def _outputs(settings: EvaluateSettings, run: RunDir) -> list[tuple[str, Path]]:
    """(before or after, folder of its results) of a run."""
    labels = labels_of(settings.which)
    base = run.evaluation_path if settings.output is None else Path(settings.output)
    apart = settings.output is None or len(labels) > 1
    return [(label, base / label if apart else base) for label in labels]


def _run_sessions(settings: EvaluateSettings) -> Iterator[Session]:
    run = RunDir.open(str(settings.run))
    config = run.read_config()
    mint = mint_config(config)
    paths = {label: model_path(run, config, label) for label in labels_of(settings.which)}
    graders = ready_graders(
        _chosen(settings.encoder, EncoderConfig(), mint.encoder),
        _chosen(settings.tagger, TaggerConfig(), mint.tagger),
        _chosen(settings.judge, JudgeConfig(), mint.judge),
    )
    held_out = rows_path(config, mint)
    defaults = _Defaults(
        prompts=prompts_of_run(held_out, mint),
        max_new_tokens=mint.evaluation.max_new_tokens,
        thinking=mint.data.enable_thinking,
        data=settings.data or held_out,
        weights=mint.reward,
        second=build_second_judge(
            _chosen(settings.second_judge, SecondJudgeConfig(), mint.second_judge)
        ),
    )
    for label, output in _outputs(settings, run):
        source = LocalModel(paths[label], settings.batch_size, settings.engine)
        yield _session(settings, source, graders, defaults, output)


def _source(settings: EvaluateSettings) -> ReplySource:
    if settings.endpoint is not None:
        server = replace(
            settings.server, urls=[base_url(settings.endpoint)], model=settings.model or ""
        )
        return Endpoint(server, settings.vllm_options)
    if settings.model is not None:
        return LocalModel(settings.model, settings.batch_size, settings.engine)
    return ReadyReplies(str(settings.replies))


def _session(
    settings: EvaluateSettings,
    source: ReplySource,
    graders: Graders,
    defaults: _Defaults,
    output: Path,
) -> Session:
    prompts = defaults.prompts
    if settings.style is not None:
        prompts = replace(prompts, style=prompt_style("style", settings.style))
    if settings.compact is not None:
        prompts = replace(prompts, compact=settings.compact)
    thinking = defaults.thinking if settings.thinking is None else settings.thinking
    return Session(
        settings=settings,
        source=source,
        graders=graders,
        weights=defaults.weights,
        sampling=Sampling(
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_new_tokens=settings.max_new_tokens or defaults.max_new_tokens,
            thinking=thinking,
            seed=settings.seed,
        ),
        prompts=prompts,
        data=None if defaults.data is None else Path(defaults.data),
        output=output,
        second=defaults.second,
    )


def prompts_of_run(held_out: str, mint: MintConfig) -> PromptConfig:
    """The prompts of a run's held-out rows; by its settings when they came without a card."""
    own = PromptConfig(style=PromptStyle(mint.data.style), compact=mint.data.compact)
    return prompts_of(held_out, own)


def prompts_of(data: str | None, otherwise: PromptConfig) -> PromptConfig:
    """The prompts that the rows beside a data set's card were made with."""
    if data is None or Path(data).suffix != ".parquet":
        return otherwise
    card = read_json_if_there(Path(data).with_name(CARD))
    own = prompts_of_card(card) if isinstance(card, dict) else None
    return otherwise if own is None else own


def _chosen(given: Any, default: Any, of_run: Any) -> Any:
    return of_run if given == default else given
