"""A model's dialogues with held-out people, their replies graded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from mint.config.evaluation import GenerationConfig
from mint.config.schema import MintConfig
from mint.data.rows import PromptRow
from mint.dialogue.build import build_seeker
from mint.dialogue.people import read_people_rows
from mint.dialogue.record import TalkRecord
from mint.dialogue.replies import requests_of
from mint.evaluation.generation import Generation
from mint.evaluation.metrics.talks import Talks
from mint.evaluation.records import EvaluatedReply, evaluated_reply
from mint.evaluation.second import with_second
from mint.evaluation.talking import Asked, hold
from mint.policy.chat_template import keeping_template
from mint.shell.files import read_json_lines, write_json_lines
from rewards.build import Graders
from rewards.errors import DataError
from rewards.formula import RewardWeights
from rewards.protocols import EmpathyJudge
from rewards.scorer import ReplyScorer, ScoringRequest
from rewards.types import Signals

_BATCH = 256


class Held(NamedTuple):
    """Dialogues and their graded replies."""

    talks: dict[str, TalkRecord]
    replies: list[EvaluatedReply]
    seeker: dict[str, Any]
    """Identity of who was talked with."""


def talks_path(directory: Path, label: str) -> Path:
    """Where the dialogues before or after training are."""
    return directory / f"{label}_dialogues.jsonl"


def read_talks(directory: Path, label: str) -> Talks:
    """The dialogues by key; {} when there are none. Raises DataError for a broken file."""
    return {
        row["key"]: TalkRecord.from_json(row["dialogue"])
        for row in read_json_lines(talks_path(directory, label))
    }


def hold_talks(
    model_path: str | Path,
    rows_path: str | Path,
    config: DictConfig,
    mint: MintConfig,
    graders: Graders,
    second: EmpathyJudge | None,
) -> list[Held]:
    """`mint.evaluation.samples_per_prompt` dialogues with each held-out person, played by
    mint.seeker and, unless there is none, by mint.second_seeker too. Raises ConfigError, DataError
    when none has a reply."""
    # Imported here: torch and transformers take seconds, which --help should not wait for.
    from mint.evaluation.generator import open_generator

    thinking = mint.data.enable_thinking
    given = {**asdict(mint.evaluation), "max_new_tokens": mint.dialogue.turn_tokens}
    settings = GenerationConfig(**{**given, "samples_per_prompt": 1}, enable_thinking=thinking)
    people = read_people_rows(rows_path)[: mint.evaluation.max_prompts]
    asked = [Asked(row, n) for row in people for n in range(mint.evaluation.samples_per_prompt)]
    played_by = [one for one in (mint.seeker, mint.second_seeker) if one.kind != "none"]
    seekers = [build_seeker(one, lambda: graders) for one in played_by]
    context = int(config.data.max_prompt_length) + int(config.data.max_response_length)
    with open_generator(model_path, settings) as generator:
        template = keeping_template(generator.tokenizer, enable_thinking=thinking)
        if template is not None:
            generator.tokenizer.chat_template = template
        held = [
            asyncio.run(hold(generator, asked, seeker, mint.dialogue, context))
            for seeker in seekers
        ]
    scorer = ReplyScorer(graders.tagger, graders.judge)
    found = []
    for seeker, records in zip(seekers, held, strict=True):
        replies = asyncio.run(_grade(asked, records, scorer, mint.reward, second))
        if not replies:
            lost = next(record.lost for record in records)
            raise DataError(f"no dialogue with a held-out person has a reply; the first: {lost}")
        talks = {one.key: record for one, record in zip(asked, records, strict=True)}
        found.append(Held(talks, replies, seeker.identity))
    return found


def second_label(label: str) -> str:
    """Names the files of what was held with mint.second_seeker."""
    return f"{label}_second"


def write_talks(directory: Path, label: str, talks: Talks) -> None:
    """Write <label>_dialogues.jsonl, one dialogue a line."""
    rows = ({"key": key, "dialogue": talk.as_json()} for key, talk in talks.items())
    write_json_lines(talks_path(directory, label), rows)


async def _grade(
    asked: Sequence[Asked],
    records: Sequence[TalkRecord],
    scorer: ReplyScorer,
    weights: RewardWeights,
    second: EmpathyJudge | None,
) -> list[EvaluatedReply]:
    each = [requests_of(record) for record in records]
    flat = [request for requests in each for request in requests]
    signals: list[Signals] = []
    for start in range(0, len(flat), _BATCH):
        signals += await scorer.score(flat[start : start + _BATCH])
    rest = iter(signals)
    replies, histories = [], []
    for one, requests, record in zip(asked, each, records, strict=True):
        graded = scorer.in_order(requests, [next(rest) for _ in requests])
        for turn, (request, signal) in enumerate(graded):
            row = _row(record.person, turn, request)
            said = Generation(request.raw_reply, request.num_tokens, request.truncated)
            replies.append(evaluated_reply(row, one.sample, said, signal, weights))
            histories.append(request.history)
    return list(await with_second(second, histories, replies))


def _row(person: str, turn: int, request: ScoringRequest) -> PromptRow:
    return PromptRow(
        conversation_id=person,
        turn=turn,
        prompt=(),
        system="",
        history=request.history,
        history_tactics=request.history_tactics,
        scenario=person,
    )
