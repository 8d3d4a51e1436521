"""What all served graders share: identity, checks, prompts, and the mean of repeated gradings."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, TypeVar

from rewards.serving.client import GraderClient
from rewards.serving.formats import off_schema
from rewards.serving.health import probe, served_models
from rewards.serving.settings import EndpointConfig
from rewards.tactics import TACTIC_NAMES
from rewards.text import split_sentences, visible_reply
from rewards.types import (
    DIMENSIONS,
    Failure,
    GraderIdentity,
    Message,
    Rating,
    Reply,
    ScalarRating,
    ServerHealth,
    Status,
    TaggedSentence,
    Tagging,
)

GradeT = TypeVar("GradeT")

CHAT_ROLES = {"seeker": "user", "supporter": "assistant"}
UNPINNED = "unpinned"
"""Revision of a grader whose weights the configuration does not name."""


class ServedBase:
    """Client, identity and health of one served grader."""

    def __init__(self, config: EndpointConfig, kind: str, name: str, parts: Mapping[str, Any]):
        """`kind` is tagger or judge, `name` the way of grading; `parts` is what else decides a
        grade, e.g. the hash of the prompts."""
        self._config = config
        self._kind = kind
        self._name = name
        self._parts = {**parts, "repeats": config.repeats}
        self._served_as: dict[str, str] = {}
        self.client = GraderClient(config)

    @property
    def identity(self) -> GraderIdentity:
        """Way of grading, model, revision, and what the servers said they serve (`check`)."""
        return GraderIdentity(
            kind=self._kind,
            name=f"{self._name}:{self._config.model}" if self._config.model else self._name,
            revision=self._config.revision or UNPINNED,
            details={**self._parts, "served_as": dict(self._served_as)},
        )

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names that every server must list under /v1/models."""
        return (self._config.model,)

    async def check(self) -> None:
        """See `rewards.protocols.ServedGrader`."""
        self._served_as = await served_models(self.client, self.model_names)

    def probe(self) -> list[ServerHealth]:
        """See `rewards.protocols.ServedGrader`; nothing to probe in a replay."""
        return probe(self._config)


def text_hash(*texts: str) -> str:
    """Hex SHA-256 of several texts, where each ends included."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def prompt_text(name: str) -> str:
    """A prompt that ships with the package."""
    return resources.files("rewards.graders").joinpath("prompts", name).read_text(encoding="utf-8")


def sentences_of(reply: Reply) -> list[str]:
    """The reply's sentences, as given or split."""
    return split_sentences(reply.text) if reply.sentences is None else list(reply.sentences)


def chat_history(history: Sequence[Message]) -> list[dict[str, str]]:
    """Messages in chat roles."""
    return [{"role": CHAT_ROLES[m.role], "content": m.content} for m in history]


def read_object(text: str) -> dict[str, Any] | Failure:
    """The JSON object that an answer consists of, after its thinking and without a code fence.

    Anything else around it, or a key given twice, is "off_schema": no number is fished out of
    prose, where it may come from the reply that is being graded.
    """
    seen = visible_reply(text)
    if seen.status is Status.TRUNCATED_THINK:
        return Failure("truncated", "the answer ends inside its thinking")
    body = seen.text
    if body.startswith("```") and body.endswith("```") and len(body) >= 6:
        body = body[3:-3].removeprefix("json")
    try:
        value = json.loads(body, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        return off_schema(f"not one JSON object ({error})", text)
    return value if isinstance(value, dict) else off_schema("not a JSON object", text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is given twice")
    return result


def json_answer(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Chat parameter that asks for an object with exactly these properties."""
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
    form = {"name": name, "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def tagging(
    sentences: Sequence[str], probabilities: Sequence[Mapping[str, float]], threshold: float
) -> Tagging:
    """A Tagging with the tactics whose probability reaches the threshold."""
    return Tagging(
        sentences=tuple(
            TaggedSentence(
                text=text,
                tactics=tuple(name for name in TACTIC_NAMES if row[name] >= threshold),
                probabilities=dict(row),
            )
            for text, row in zip(sentences, probabilities, strict=True)
        )
    )


def mean_grades(
    runs: Sequence[Sequence[GradeT | Failure]], mean: Callable[[Sequence[GradeT]], GradeT]
) -> list[GradeT | Failure]:
    """The mean of each reply's repeated grades; a reply with a failed repeat is that Failure."""
    if len(runs) == 1:
        return list(runs[0])
    means: list[GradeT | Failure] = []
    for number in range(len(runs[0])):
        grades = [run[number] for run in runs]
        failed = [grade for grade in grades if isinstance(grade, Failure)]
        good = [grade for grade in grades if not isinstance(grade, Failure)]
        means.append(failed[0] if failed else mean(good))
    return means


def mean_tagging(taggings: Sequence[Tagging], threshold: float) -> Tagging:
    """Mean probabilities, tactics anew from the threshold, and how much the gradings differ."""
    rows, spreads = [], []
    for sentence in zip(*(t.sentences for t in taggings), strict=True):
        row = {}
        for name in TACTIC_NAMES:
            row[name], std = mean_std([s.probabilities[name] for s in sentence])
            spreads.append(std)
        rows.append(row)
    merged = tagging([s.text for s in taggings[0].sentences], rows, threshold)
    return Tagging(sentences=merged.sentences, repeat_std=sum(spreads) / len(spreads))


def mean_rating(ratings: Sequence[Rating]) -> Rating:
    """Mean of each dimension and of the aggregate."""
    dimensions = {
        name: mean_std([rating.dimensions[name] for rating in ratings])[0] for name in DIMENSIONS
    }
    aggregate, std = mean_std([rating.aggregate for rating in ratings])
    return Rating(dimensions=dimensions, aggregate=aggregate, repeat_std=std)


def mean_scalar(ratings: Sequence[ScalarRating]) -> ScalarRating:
    """Mean of the values."""
    value, std = mean_std([rating.value for rating in ratings])
    return ScalarRating(value=value, repeat_std=std)


def mean_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (of the population) of at least one value."""
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
