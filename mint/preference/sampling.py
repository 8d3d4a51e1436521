"""From prompts to pairs: replies are drawn, graded by all graders, and ranked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mint.config.evaluation import GenerationConfig
from mint.data.dataset import PromptRow, read_rows
from mint.data.rows import row_messages
from mint.evaluation.generation import Generation, Prompt
from mint.evaluation.generator import open_generator
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.runner import GRADING_BATCH, ToGrade, score
from mint.evaluation.sources.requests import ReplyKey
from mint.preference.pairs import Candidate, Pair, pick
from mint.preference.settings import PreferSettings
from mint.shell.console import progress_bar, say
from mint.shell.files import write_json_lines
from rewards.build import Graders
from rewards.errors import DataError
from rewards.protocols import EmpathyJudge
from rewards.scorer import ReplyScorer

PAIRS, LEFT_OUT, CONTROL = "pairs.jsonl", "left_out.jsonl", "control.jsonl"
_CONDITION = "prefer"


class Drawn(NamedTuple):
    """What the draws have given."""

    pairs: list[Pair]
    left_out: list[dict[str, Any]]
    """Prompts without a pair: conversation_id, turn, reasons."""
    control: list[dict[str, Any]]
    """The first reply to each prompt, whatever its grade: a plain sample of the reference."""

    def facts(self) -> dict[str, Any]:
        """Counts, as JSON."""
        reasons = Counter(reason for row in self.left_out for reason in row["reasons"])
        return {
            "prompts": len(self.control),
            "pairs": len(self.pairs),
            "prompts_without_pair": len(self.left_out),
            "objections": dict(reasons.most_common()),
        }


def choose_rows(path: Path, most: int | None) -> list[PromptRow]:
    """At most so many rows of a file, spread evenly over it."""
    rows = read_rows(path)
    if not rows:
        raise DataError(f"{path} has no rows to draw replies to")
    if most is None or most >= len(rows):
        return list(rows)
    return [rows[number * len(rows) // most] for number in range(most)]


def draw(
    rows: Sequence[PromptRow],
    model: str,
    settings: PreferSettings,
    graders: Graders,
    second: EmpathyJudge | None,
) -> Drawn:
    """Draw, grade and rank replies to the rows. Raises DataError when no pair is left."""
    generations = _generate(rows, model, settings)
    graded = asyncio.run(_grade(rows, generations, settings, graders, second))
    drawn = Drawn([], [], [])
    for row, own, marks in zip(rows, generations, graded, strict=True):
        about = {"conversation_id": row.conversation_id, "turn": row.turn}
        messages = row_messages(row)
        scenario = {"scenario": row.scenario}
        first = {"reply": own[0].raw, "ended": not own[0].truncated}
        drawn.control.append({**about, **scenario, "messages": messages, **first})
        candidates = [Candidate(g.raw, mark) for g, mark in zip(own, marks, strict=True)]
        picked = pick(candidates, settings.pairs)
        if picked.reasons:
            drawn.left_out.append({**about, "reasons": picked.reasons})
        drawn.pairs.extend(
            Pair(
                conversation_id=row.conversation_id,
                turn=row.turn,
                messages=messages,
                chosen=better.raw,
                rejected=worse.raw,
                scenario=row.scenario,
                gaps=gaps._asdict(),
            )
            for better, worse, gaps in picked.pairs
        )
    if not drawn.pairs:
        raise DataError(f"no pair is left of {len(rows)} prompts: {in_words(drawn.facts())}")
    return drawn


def write_drawn(drawn: Drawn, folder: Path) -> None:
    """Write pairs.jsonl, left_out.jsonl and control.jsonl; the pairs last: with them all is
    there."""
    write_json_lines(folder / LEFT_OUT, drawn.left_out)
    write_json_lines(folder / CONTROL, drawn.control)
    write_json_lines(folder / PAIRS, (pair.as_row() for pair in drawn.pairs))


def in_words(facts: Mapping[str, Any]) -> str:
    """The counts for people."""
    objections = ", ".join(f"{name} {count}" for name, count in facts["objections"].items())
    told = f"{facts['pairs']} pairs of {facts['prompts']} prompts"
    lost = facts["prompts_without_pair"]
    return f"{told}; {lost} without one" + (f" (objections: {objections})" if lost else "")


def _generate(
    rows: Sequence[PromptRow], model: str, settings: PreferSettings
) -> list[list[Generation]]:
    asked = settings.pairs
    config = GenerationConfig(
        samples_per_prompt=asked.samples,
        temperature=asked.temperature,
        max_new_tokens=asked.max_new_tokens,
        engine=settings.evaluation.engine,
        batch_size=settings.evaluation.batch_size,
        seed=settings.run.seed,
        enable_thinking=settings.data.enable_thinking,
    )
    prompts = [Prompt(f"{row.conversation_id}/{row.turn}", row_messages(row)) for row in rows]
    say(f"drawing {asked.samples} replies to each of {len(rows)} prompts")
    with open_generator(model, config) as generator:
        return generator.generate(prompts, "replies to rank")


async def _grade(
    rows: Sequence[PromptRow],
    generations: Sequence[Sequence[Generation]],
    settings: PreferSettings,
    graders: Graders,
    second: EmpathyJudge | None,
) -> list[list[EvaluatedReply]]:
    """Grades prompt by prompt, sample by sample."""
    items = [
        ToGrade(ReplyKey(_CONDITION, row.conversation_id, row.turn, sample), row, generation)
        for row, own in zip(rows, generations, strict=True)
        for sample, generation in enumerate(own)
    ]
    scorer = ReplyScorer(graders.tagger, graders.judge)
    graded: list[EvaluatedReply] = []
    with progress_bar(transient=True) as progress:
        task = progress.add_task("grades", total=len(items))
        for start in range(0, len(items), GRADING_BATCH):
            batch = items[start : start + GRADING_BATCH]
            scored = await score(scorer, batch, settings.reward, second)
            graded += [reply for reply, _ in scored]
            progress.advance(task, len(batch))
    marks = iter(graded)
    return [[next(marks) for _ in own] for own in generations]
