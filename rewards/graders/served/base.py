"""What all served graders share: identity, checks, prompts, and repeated gradings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import resources
from typing import Any, Generic, TypeVar

from rewards.serving.cassette import Request
from rewards.serving.client import GraderClient
from rewards.serving.formats import ChatAnswer, off_schema, read_chat
from rewards.serving.health import probe, served_models
from rewards.serving.settings import EndpointConfig, ServedJudgeConfig
from rewards.text import visible_reply
from rewards.types import Failure, GraderIdentity, Reply, ServerHealth, Status

GradeT = TypeVar("GradeT")

UNPINNED = "unpinned"
"""Revision of a grader whose weights the configuration does not name."""


class ServedBase:
    """Client, identity, health and repeats of one served grader."""

    _config: Any

    def __init__(
        self,
        config: EndpointConfig,
        kind: str,
        name: str,
        parts: Mapping[str, Any],
        settings: Sequence[str] = (),
    ):
        """`kind` is tagger or judge, `name` the way of grading; `parts` is what else decides a
        grade, e.g. the hash of the prompts, and `settings` names fields of `config` that do."""
        self._config = config
        self._kind = kind
        self._name = name
        chosen = {field: getattr(config, field) for field in settings}
        self._parts = {**parts, **chosen, "repeats": config.repeats}
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

    def sampling(self, sample: int) -> dict[str, Any]:
        """Chat parameters of one grading; gradings of the same reply differ in their seed."""
        config = self._config
        return {
            "temperature": config.temperature,
            "seed": config.seed + sample,
            "max_tokens": config.max_tokens,
        }

    async def repeated(
        self,
        grade: Callable[[int], Awaitable[Sequence[GradeT | Failure]]],
        mean: Callable[[Sequence[GradeT]], GradeT],
    ) -> list[GradeT | Failure]:
        """What `grade(sample)` says of some replies: once, or the mean over all repeats.

        A reply with a failed repeat is that Failure.
        """
        async with self.client.session():
            runs = [await grade(sample) for sample in range(self._config.repeats)]
        if len(runs) == 1:
            return list(runs[0])
        means: list[GradeT | Failure] = []
        for grades in zip(*runs, strict=True):
            failed = [grade for grade in grades if isinstance(grade, Failure)]
            good = [grade for grade in grades if not isinstance(grade, Failure)]
            means.append(failed[0] if failed else mean(good))
        return means


class ServedJudge(ServedBase, Generic[GradeT]):
    """Asks once about each reply; subclasses say what, and how answers are read and averaged."""

    _config: ServedJudgeConfig

    async def rate(self, replies: Sequence[Reply]) -> list[GradeT | Failure]:
        """A rating for each reply, in order; a Failure when its answer cannot be used."""

        async def once(sample: int) -> list[GradeT | Failure]:
            return await self.ask([self._request(reply, sample) for reply in replies])

        return await self.repeated(once, self._mean)

    async def ask(self, requests: Sequence[Request]) -> list[GradeT | Failure]:
        """What the answers say, in order."""
        return await self.client.ask_all(requests, [self._read] * len(requests))

    def _request(self, reply: Reply, sample: int) -> Request:
        raise NotImplementedError

    def _read(self, answer: Any) -> GradeT | Failure:
        raise NotImplementedError

    def _mean(self, ratings: Sequence[GradeT]) -> GradeT:
        raise NotImplementedError


def text_hash(*texts: str) -> str:
    """Hex SHA-256 of several texts, where each ends included."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def prompt_text(name: str) -> str:
    """A prompt that ships with the package."""
    return resources.files("rewards.graders").joinpath("prompts", name).read_text(encoding="utf-8")


def read_chat_object(answer: Any) -> tuple[ChatAnswer, dict[str, Any]] | Failure:
    """A chat answer and the JSON object that it consists of."""
    chat = read_chat(answer)
    if isinstance(chat, Failure):
        return chat
    found = read_object(chat.text)
    return found if isinstance(found, Failure) else (chat, found)


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


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """JSON schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def json_answer(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Chat parameter that asks for an object with exactly these properties."""
    form = {"name": name, "strict": True, "schema": object_schema(properties)}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def json_question(system: str, question: Mapping[str, Any]) -> list[dict[str, str]]:
    """Chat messages that put a question as JSON, in which nothing passes for an instruction."""
    asked = json.dumps(question, ensure_ascii=False, indent=1)
    return [{"role": "system", "content": system}, {"role": "user", "content": asked}]
