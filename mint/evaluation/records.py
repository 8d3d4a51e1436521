"""One held-out reply with everything that was measured about it; a line of *_replies.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mint.data.dataset import PromptRow
from mint.evaluation.generation import Generation
from mint.shell.files import read_json_lines
from rewards.errors import DataError
from rewards.formula import RewardWeights, raw_reward
from rewards.scorer import ScoringRequest
from rewards.text import visible_reply
from rewards.types import Rating, ScalarRating, Signals, Status


@dataclass(frozen=True, kw_only=True)
class EvaluatedReply:
    """A reply to a held-out prompt. Grades are None exactly where `status` is not "ok"."""

    conversation_id: str
    turn: int
    """0-based supporter turn."""
    sample: int
    """0-based number among the replies to this prompt."""
    seeker: str
    """The seeker's message that is answered."""
    reply: str
    """Visible text."""
    status: str
    """Value of `rewards.types.Status`."""
    previous_counts: tuple[float, ...]
    """Sentences per tactic in the conversation's previous supporter turn."""
    has_previous: bool
    """Whether there is a previous supporter turn."""
    num_tokens: int
    truncated: bool
    reason: str = ""
    """Why, for every status but "ok"."""
    composite: float | None = None
    """`rewards.formula.raw_reward`; None when a grader failed."""
    empathy: float | None = None
    """Judge aggregate, [1, 5]; None for a reward model, which has no such scale."""
    second_empathy: float | None = None
    """Aggregate of the second judge, [1, 5]; None without one, or where it failed."""
    judge_logit: float | None = None
    """Raw score of a reward model, unbounded; None for a judge with dimensions."""
    dimensions: Mapping[str, float] = field(default_factory=dict)
    """The judge's six ratings, each in [1, 5]."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """What the aggregate was joined from (`rewards.types.Rating.parts`); empty where the judge has
    none, and in files of earlier versions."""
    tricks: tuple[str, ...] | None = None
    """What held the rating down (`rewards.types.Rating.tricks`); None where nothing was rated in
    dimensions or the file does not say."""
    kl: float | None = None
    entropy: float | None = None
    bigram: float | None = None
    trigram: float | None = None
    label_leak: bool = False
    sentences: tuple[str, ...] = ()
    tactics: tuple[tuple[str, ...], ...] = ()
    """Tactics of each sentence."""
    counts: tuple[int, ...] = ()
    """Sentences per tactic; empty when not graded."""
    scenario: str = ""
    """What several conversations may be about; "" when the data do not say."""
    history: tuple[tuple[str, str], ...] = ()
    """Role and text of each message before the seeker's; () in files of earlier versions."""
    summary: str = ""
    """What the prompt told of messages that it did not show; "" without memory."""
    summary_reason: str = ""
    """Why the newest of these are not in the summary; "" where they are."""

    @property
    def cluster(self) -> str:
        """What is resampled as a whole: the scenario, else the conversation."""
        return self.scenario or self.conversation_id

    @property
    def graded(self) -> bool:
        """Whether tagger and judge have graded the reply."""
        return self.status == Status.OK

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> EvaluatedReply:
        """A reply from its JSON row. Raises DataError when fields are missing or unknown."""
        try:
            values = {
                **row,
                "previous_counts": tuple(row["previous_counts"]),
                "sentences": tuple(row["sentences"]),
                "tactics": tuple(tuple(names) for names in row["tactics"]),
                "counts": tuple(row["counts"]),
            }
            if "history" in row:
                values["history"] = tuple((role, said) for role, said in row["history"])
            if "tricks" in row and row["tricks"] is not None:
                values["tricks"] = tuple(row["tricks"])
            return cls(**values)
        except (KeyError, TypeError) as error:
            names = ", ".join(f.name for f in fields(cls))
            raise DataError(f"an evaluated reply needs the fields {names}: {error}") from error

    def as_row(self) -> dict[str, Any]:
        """Field -> value, ready for JSON."""
        return asdict(self)


def replies_path(directory: Path, condition: str) -> Path:
    """Where the replies of a condition, or of a run before or after training, are."""
    return directory / f"{condition}_replies.jsonl"


def read_replies(path: Path) -> tuple[EvaluatedReply, ...]:
    """Replies of a *_replies.jsonl file; () when it does not exist. Raises DataError."""
    rows = read_json_lines(path)
    try:
        return tuple(EvaluatedReply.from_row(row) for row in rows)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def scoring_request(row: PromptRow, reply: Generation) -> ScoringRequest:
    """What the scorer needs to know about a generated reply."""
    return ScoringRequest(
        raw_reply=reply.raw,
        history=row.history,
        previous_counts=tuple(float(count) for count in row.previous_counts),
        history_tactics=row.history_tactics,
        num_tokens=reply.num_tokens,
        truncated=reply.truncated,
    )


def evaluated_reply(
    row: PromptRow, sample: int, reply: Generation, signals: Signals, weights: RewardWeights
) -> EvaluatedReply:
    """The record of one scored reply."""
    sentences = signals.tagging.sentences if signals.tagging is not None else ()
    rating = signals.rating
    return EvaluatedReply(
        conversation_id=row.conversation_id,
        turn=row.turn,
        sample=sample,
        seeker=row.history[-1].content,
        reply=visible_reply(reply.raw).text,
        status=signals.status.value,
        reason=signals.reason,
        previous_counts=tuple(float(count) for count in row.previous_counts),
        has_previous=row.turn > 0,
        num_tokens=signals.num_tokens,
        truncated=signals.truncated,
        composite=raw_reward(signals, weights),
        empathy=rating.aggregate if isinstance(rating, Rating) else None,
        judge_logit=rating.value if isinstance(rating, ScalarRating) else None,
        dimensions=dict(rating.dimensions) if isinstance(rating, Rating) else {},
        parts=dict(rating.parts) if isinstance(rating, Rating) else {},
        tricks=rating.tricks if isinstance(rating, Rating) else None,
        kl=signals.kl,
        entropy=signals.entropy,
        bigram=signals.bigram,
        trigram=signals.trigram,
        label_leak=signals.label_leak,
        sentences=tuple(sentence.text for sentence in sentences),
        tactics=tuple(tuple(sentence.tactics) for sentence in sentences),
        counts=signals.counts if signals.status is Status.OK else (),
        scenario=row.scenario,
        history=tuple((message.role, message.content) for message in row.history[:-1]),
        summary="" if row.summary is None else row.summary.text,
        summary_reason="" if row.summary is None else row.summary.reason,
    )
