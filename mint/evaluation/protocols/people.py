"""People's own replies graded as a model's are: the figures of the reference line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from mint.config.evaluation import EvaluationConfig
from mint.config.prompts import PromptConfig
from mint.data.rows import Case, prompt_row
from mint.evaluation.generation import Generation
from mint.evaluation.journal import Journal
from mint.evaluation.people import People, reference_figures
from mint.evaluation.results import Outcome, outcome_row
from mint.evaluation.runner import ToGrade, score
from mint.evaluation.sources.ready import count_tokens
from mint.evaluation.sources.requests import ReplyKey
from mint.evaluation.tagging import tag_missing
from mint.rundir.manifest import identity_rows
from rewards.build import Graders
from rewards.errors import DataError, GraderError
from rewards.formula import RewardWeights
from rewards.scorer import ReplyScorer
from rewards.types import Status

NAME = "people"


async def measure_people(
    cases: Sequence[Case], graders: Graders, settings: EvaluationConfig, source: str
) -> People:
    """Grade what the supporters of the conversations have said, earlier turns by the same tagger.

    Raises DataError when the conversations hold no replies, GraderError when one cannot be graded:
    a reference with gaps is none.
    """
    untagged = [replace(case, tags=(None,) * len(case.tags)) for case in cases]
    with TemporaryDirectory() as folder, Journal(Path(folder) / "tags", {}) as journal:
        tagged, _ = await tag_missing(untagged, graders.tagger, journal)
    items = [_to_grade(case) for case in tagged]
    scorer = ReplyScorer(graders.tagger, graders.judge)
    scored = await score(scorer, items, RewardWeights())
    replies = [reply for reply, _ in scored]
    failed = [reply for reply in replies if reply.status == Status.FAILED]
    if failed:
        first = failed[0]
        raise GraderError(
            f"{len(failed)} of {len(replies)} replies cannot be graded; the first is turn "
            f"{first.turn} of {first.conversation_id!r}: {first.reason}"
        )
    ratings = [reply.empathy for reply in replies if reply.empathy is not None]
    row = outcome_row(Outcome(condition=NAME, replies=replies), settings)
    return People(
        source=source,
        replies=len(replies),
        conversations=row["counts"]["conversations"],
        graders=identity_rows(graders),
        figures=reference_figures(row["metrics"]),
        median_empathy=round(median(ratings), 4) if ratings else None,
    )


def _to_grade(case: Case) -> ToGrade:
    if case.reply is None:
        raise DataError(
            f"conversation {case.conversation_id!r} has no reply to turn {case.turn}; give "
            "conversations, not rows of mint.prepare"
        )
    said = Generation(case.reply, count_tokens(case.reply), truncated=False)
    key = ReplyKey(NAME, case.conversation_id, case.turn, 0)
    return ToGrade(key, prompt_row(case, PromptConfig()), said)
