"""Protocols that need no grader, asked of each subject of an evaluation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from pathlib import Path

from mint.config.prompts import PromptConfig
from mint.config.schema import mint_config
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.protocols import ability, eq_bench, memory
from mint.evaluation.sources.requests import ReplySource
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
        sampling = replace(
            sampling_of(settings, eq_bench.MAX_TOKENS, thinking),
            temperature=eq_bench.TEMPERATURE,
            top_p=1.0,
        )
        asking = eq_bench.run(
            source, questions, output, sampling, settings.statistics, settings.retry_failed
        )
        yield output, asyncio.run(_closing(source, asking))


def ask_memory(settings: EvaluateSettings) -> Iterator[tuple[Path, str]]:
    """Memory of each subject: (folder, shares for people). Needs no grader. Raises ConfigError."""
    own, max_new_tokens = prompts_of(settings.data, PromptConfig()), Defaults.max_new_tokens
    if settings.subject == "run":
        config = RunDir.open(str(settings.run)).read_config()
        mint = mint_config(config)
        own = prompts_of_run(rows_path(config, mint), mint)
        max_new_tokens = mint.evaluation.max_new_tokens
    prompts, folder = prompts_asked(settings, own), data_dir() / memory.NAME
    for source, output, thinking in sources_of(settings):
        sampling = sampling_of(settings, max_new_tokens, thinking)
        asking = memory.run(
            source, folder, output, sampling, prompts, settings.confidence, settings.retry_failed
        )
        yield output, asyncio.run(_closing(source, asking))


def ask_ability(settings: EvaluateSettings) -> Iterator[tuple[Path, str]]:
    """Sums and instructions of each subject, greedy: (folder, shares for people), of a run before
    and after the differences last. Needs no grader. Raises ConfigError."""
    outputs = []
    for source, output, thinking in sources_of(settings):
        thinks = thinking if settings.thinking is None else settings.thinking
        room = ability.THINKING_TOKENS if thinks else ability.MAX_TOKENS
        greedy = replace(sampling_of(settings, room, thinking), temperature=0.0, top_p=1.0)
        outputs.append(output)
        asking = ability.run(source, output, greedy, settings.statistics, settings.retry_failed)
        yield output, asyncio.run(_closing(source, asking))
    if len(outputs) == 2:
        yield outputs[1].parent, ability.compare(outputs[0], outputs[1], settings.statistics)


async def _closing(source: ReplySource, asking: Awaitable[str]) -> str:
    try:
        return await asking
    finally:
        await source.close()
