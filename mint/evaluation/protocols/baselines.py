"""The same model under the prompts that training competes with.

Three prompt styles, asked for a reply and asked for candidates with probabilities (verbalized
sampling): six conditions on the same turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from mint.data.cases import Case
from mint.data.dataset import PromptRow
from mint.data.prompts import PromptConfig, PromptStyle
from mint.data.rows import prompt_row, row_messages
from mint.evaluation.generation import Generation
from mint.evaluation.protocols import lend_an_ear
from mint.evaluation.protocols.verbalized import draw, instruction, parse, schema
from mint.evaluation.results import Outcome, Unusable, unanswered
from mint.evaluation.runner import Runner, ToGrade
from mint.evaluation.sources.ready import count_tokens
from mint.evaluation.sources.requests import ReplyRequest
from rewards.types import Failure

NAME = "baselines"
VERBALIZED = "verbalized_"
_STYLES = tuple(style.value for style in PromptStyle if style is not PromptStyle.FILE)
CONDITIONS = (*_STYLES, *(VERBALIZED + style for style in _STYLES))


class Verbalized(NamedTuple):
    """Settings of verbalized sampling."""

    candidates: int
    """Replies listed in one answer, >= 1."""
    max_new_tokens: int
    """Longest answer, all candidates together."""


async def evaluate(
    runner: Runner,
    cases: Sequence[Case],
    conditions: Sequence[str],
    prompts: PromptConfig,
    samples: int,
    verbalized: Verbalized,
) -> list[Outcome]:
    """One outcome a condition; `prompts` gives everything about the prompt but its style."""
    outcomes = []
    longer = replace(
        runner, sampling=replace(runner.sampling, max_new_tokens=verbalized.max_new_tokens)
    )
    for condition in conditions:
        style = PromptStyle(condition.removeprefix(VERBALIZED))
        rows = [prompt_row(case, replace(prompts, style=style)) for case in cases]
        name = condition_name(condition)
        if condition.startswith(VERBALIZED):
            outcomes.append(await _verbalized(longer, rows, name, samples, verbalized.candidates))
        else:
            outcomes.append(await lend_an_ear.evaluate(runner, rows, samples, name))
    return outcomes


def condition_name(condition: str) -> str:
    """The condition's name in files and keys."""
    return f"{NAME}_{condition}"


async def _verbalized(
    runner: Runner, rows: Sequence[PromptRow], condition: str, samples: int, candidates: int
) -> Outcome:
    asked = lend_an_ear.keyed(rows, samples, condition)
    requests = [
        ReplyRequest(key, _messages(row, candidates), schema(candidates))
        for key, row in asked.items()
    ]
    task = runner.progress.add_task(f"{condition}: replies", total=len(requests))
    answers = await runner.answer(requests, task)
    ready, failures, num_fenced = [], [], 0
    for key, row in asked.items():
        answer = answers[key]
        if isinstance(answer, Failure):
            continue
        parsed = parse(answer.raw, candidates)
        if isinstance(parsed, Failure):
            failures.append(Unusable(key, f"{parsed.kind}: {parsed.message}", answer.raw))
            continue
        num_fenced += parsed.fenced
        text = draw(parsed, f"{runner.sampling.seed}/{'/'.join(map(str, key))}")
        ready.append(ToGrade(key, row, Generation(text, count_tokens(text), answer.truncated)))
    task = runner.progress.add_task(f"{condition}: grades", total=len(ready))
    kinds = Counter(lost.reason.split(":")[0] for lost in failures)
    return Outcome(
        condition=condition,
        replies=await runner.grade(ready, task),
        unanswered=unanswered(answers),
        parse_failures=failures,
        facts={"parse_failure_kinds": dict(kinds), "num_in_code_block": num_fenced},
    )


def _messages(row: PromptRow, candidates: int) -> tuple[dict[str, str], ...]:
    system, *rest = row_messages(row)
    content = f"{system['content']}\n\n{instruction(candidates)}"
    return ({"role": "system", "content": content}, *rest)
