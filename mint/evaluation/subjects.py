"""From the settings of an evaluation to what is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mint.config.prompts import (
    Persona,
    PromptConfig,
    PromptStyle,
    prompt_style,
    prompts_of_card,
)
from mint.config.schema import MintConfig, mint_config
from mint.data.dataset import CARD
from mint.evaluation.options import EvaluateSettings
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


class Defaults(NamedTuple):
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
    defaults = Defaults(
        prompts=prompts_of(settings.data, PromptConfig()),
        data=settings.data,
        second=build_second_judge(settings.second_judge),
    )
    yield _session(settings, _source(settings), graders, defaults, Path(settings.output))


def compare_sage(settings: EvaluateSettings) -> tuple[Path, str]:
    """Write sage_comparison.json of a run's conversations before and after, above the folders of
    both; returns the file and what it says, for people."""
    before, after = (path for _, path in _outputs(settings, RunDir.open(str(settings.run))))
    path, text = write_comparison(before, after, before.parent, settings.statistics)
    return path, f"== {path}\n\n{text}"


def sources_of(settings: EvaluateSettings) -> Iterator[tuple[ReplySource, Path, bool]]:
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
    defaults = Defaults(
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
    defaults: Defaults,
    output: Path,
) -> Session:
    return Session(
        settings=settings,
        source=source,
        graders=graders,
        weights=defaults.weights,
        sampling=sampling_of(settings, defaults.max_new_tokens, defaults.thinking),
        prompts=prompts_asked(settings, defaults.prompts),
        data=None if defaults.data is None else Path(defaults.data),
        output=output,
        second=defaults.second,
    )


def sampling_of(settings: EvaluateSettings, max_new_tokens: int, thinking: bool) -> Sampling:
    """As the settings say; the rest is the subject's."""
    return Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_new_tokens=settings.max_new_tokens or max_new_tokens,
        thinking=thinking if settings.thinking is None else settings.thinking,
        seed=settings.seed,
    )


def prompts_asked(settings: EvaluateSettings, prompts: PromptConfig) -> PromptConfig:
    """The subject's prompts with what the settings change."""
    if settings.style is not None:
        prompts = replace(prompts, style=prompt_style("style", settings.style))
    if settings.compact is not None:
        prompts = replace(prompts, compact=settings.compact)
    if settings.history_turns is not None:
        prompts = replace(prompts, max_history_turns=settings.history_turns)
    if settings.memory:
        prompts = replace(prompts, memory=True)
    if settings.persona != Persona():
        prompts = replace(prompts, persona=settings.persona)
    return prompts


def prompts_of_run(held_out: str, mint: MintConfig) -> PromptConfig:
    """The prompts of a run's held-out rows; by its settings when they came without a card."""
    own = PromptConfig(
        style=PromptStyle(mint.data.style),
        compact=mint.data.compact,
        persona=mint.data.persona,
    )
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
