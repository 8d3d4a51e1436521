"""Protocols that need no grader, asked of each subject of an evaluation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from mint.config.prompts import PromptConfig
from mint.config.schema import mint_config
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.protocols import ability, eq_bench, memory
from mint.evaluation.sources.requests import ReplySource, Sampling
from mint.evaluation.subjects import (
    Defaults,
    prompts_asked,
    prompts_of,
    prompts_of_run,
    sampling_of,
    sources_of,
)
from mint.evaluation.trained_run import rows_path
from mint.rundir.directory import RunDir
from mint.shell.paths import data_dir


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
    for source, output, thinking in sources_of(settings):
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
        return await eq_bench.run(
            source, questions, output, sampling, settings.statistics, settings.retry_failed
        )
    finally:
        await source.close()


def ask_memory(settings: EvaluateSettings) -> Iterator[tuple[Path, str]]:
    """Memory of each subject: (folder, shares for people). Needs no grader. Raises ConfigError."""
    own, max_new_tokens = prompts_of(settings.data, PromptConfig()), Defaults.max_new_tokens
    if settings.subject == "run":
        config = RunDir.open(str(settings.run)).read_config()
        mint = mint_config(config)
        own = prompts_of_run(rows_path(config, mint), mint)
        max_new_tokens = mint.evaluation.max_new_tokens
    prompts = prompts_asked(settings, own)
    for source, output, thinking in sources_of(settings):
        sampling = sampling_of(settings, max_new_tokens, thinking)
        yield output, asyncio.run(_memory(source, output, sampling, prompts, settings.confidence))


async def _memory(
    source: ReplySource,
    output: Path,
    sampling: Sampling,
    prompts: PromptConfig,
    confidence: float,
) -> str:
    folder = data_dir() / memory.NAME
    try:
        return await memory.run(source, folder, output, sampling, prompts, confidence)
    finally:
        await source.close()


def ask_ability(settings: EvaluateSettings) -> Iterator[tuple[Path, str]]:
    """Sums and instructions of each subject, greedy: (folder, shares for people), of a run before
    and after the differences last. Needs no grader. Raises ConfigError."""
    outputs = []
    for source, output, thinking in sources_of(settings):
        thinks = thinking if settings.thinking is None else settings.thinking
        room = ability.THINKING_TOKENS if thinks else ability.MAX_TOKENS
        sampling = Sampling(
            temperature=0.0,
            top_p=1.0,
            max_new_tokens=settings.max_new_tokens or room,
            thinking=thinks,
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
        return await ability.run(
            source, output, sampling, settings.statistics, settings.retry_failed
        )
    finally:
        await source.close()
