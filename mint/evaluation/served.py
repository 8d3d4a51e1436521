"""Models behind an OpenAI-compatible server: as the subject, and as the simulated seeker."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mint.data.banks import Scenario
from mint.evaluation.generation import Generation
from mint.evaluation.ready import count_tokens
from mint.evaluation.seeker import Dialogue
from mint.evaluation.sources import ReplyRequest, Sampling
from rewards.errors import ConfigError
from rewards.serving.cassette import Request
from rewards.serving.client import GraderClient
from rewards.serving.settings import EndpointConfig
from rewards.text import visible_reply
from rewards.types import Failure, Status

_ROUTE = "/v1/chat/completions"


@dataclass(frozen=True, kw_only=True)
class SubjectEndpoint(EndpointConfig):
    """The server of the evaluated model."""

    where: ClassVar[str] = "endpoint"


@dataclass(frozen=True, kw_only=True)
class SeekerEndpoint(EndpointConfig):
    """The server of the model that plays the seeker."""

    where: ClassVar[str] = "seeker_endpoint"


def base_url(endpoint: str) -> str:
    """The address without the route's /v1."""
    return endpoint.rstrip("/").removesuffix("/v1")


class Endpoint:
    """A served model as a `ReplySource`. Requests run concurrently; only transport errors, 429 and
    5xx are tried again."""

    def __init__(self, settings: EndpointConfig, vllm_options: bool) -> None:
        """`vllm_options`: send chat_template_kwargs and response_format, which some servers
        refuse. Raises ConfigError when model or address are missing."""
        if not settings.model:
            raise ConfigError("endpoint=... needs model=NAME, a name the server goes by")
        self._client = GraderClient(settings)
        self._vllm_options = vllm_options

    @property
    def identity(self) -> dict[str, Any]:
        """The model's name and revision; not the address, which may change."""
        settings = self._client.settings
        return {"kind": "endpoint", "model": settings.model, "revision": settings.revision}

    async def stream(
        self, requests: Sequence[ReplyRequest], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Generation | Failure]]:
        """See `ReplySource`."""

        async def ask(position: int) -> tuple[int, Generation | Failure]:
            body = self._body(requests[position], sampling)
            return position, await self._client.ask(Request(_ROUTE, body), read_completion)

        async with self._client.session():
            tasks = [asyncio.create_task(ask(position)) for position in range(len(requests))]
            try:
                for task in asyncio.as_completed(tasks):
                    yield await task
            finally:
                for open_task in tasks:
                    open_task.cancel()

    async def close(self) -> None:
        """Connections close with each stream."""

    def _body(self, request: ReplyRequest, sampling: Sampling) -> dict[str, Any]:
        key = "/".join(map(str, request.key[1:]))
        body: dict[str, Any] = {
            "model": self._client.settings.model,
            "messages": list(request.messages),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
            "seed": zlib.crc32(f"{sampling.seed}/{key}".encode()) & 0x7FFFFFFF,
        }
        if self._vllm_options:
            body["chat_template_kwargs"] = {"enable_thinking": sampling.thinking}
            if request.schema is not None:
                body["response_format"] = {
                    "type": "json_schema",
                    "json_schema": {"name": "reply", "schema": request.schema, "strict": True},
                }
        return body


def read_completion(answer: Any) -> Generation | Failure:
    """The reply in a chat completion. Thinking that a server returns apart is left out, unless
    nothing else was said."""
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content = message["content"]
        finish = choice["finish_reason"]
    except (KeyError, IndexError, TypeError):
        return Failure("off_schema", f"no chat completion: {str(answer)[:120]!r}")
    truncated = finish == "length"
    if content is None or content == "":
        thought = isinstance(message, Mapping) and any(
            message.get(name) for name in ("reasoning_content", "reasoning")
        )
        # The server has cut the thinking off: the reply ended inside it.
        content = "<think>" if thought and truncated else ""
    if not isinstance(content, str):
        return Failure("off_schema", f"content must be text, got {type(content).__name__}")
    return Generation(content, count_tokens(content), truncated)


class ServedSeeker:
    """A person played by an LLM."""

    def __init__(self, settings: EndpointConfig, seed: int, temperature: float) -> None:
        """Raises ConfigError when model or address are missing."""
        if not settings.model:
            raise ConfigError("seeker=served needs seeker_endpoint.urls and seeker_endpoint.model")
        self._client = GraderClient(settings)
        self._seed = seed
        self._temperature = temperature

    @property
    def identity(self) -> dict[str, Any]:
        """Model, revision, seed, temperature and the persona prompt."""
        settings = self._client.settings
        return {
            "kind": "served",
            "model": settings.model,
            "revision": settings.revision,
            "seed": self._seed,
            "temperature": self._temperature,
            "prompt": _PERSONA,
        }

    async def say(self, dialogues: Sequence[Dialogue]) -> list[str | Failure]:
        """See `Seeker`. The opening is the scenario's own first one."""
        asked = [dialogue for dialogue in dialogues if dialogue.history]
        requests = [Request(_ROUTE, self._body(dialogue)) for dialogue in asked]
        answers = iter(await self._client.ask_all(requests, [_read_message] * len(requests)))
        return [next(answers) if d.history else d.scenario.openings[0] for d in dialogues]

    def _body(self, dialogue: Dialogue) -> dict[str, Any]:
        roles = {"seeker": "assistant", "supporter": "user"}
        place = f"{self._seed}/{dialogue.conversation_id}/{len(dialogue.history)}"
        return {
            "model": self._client.settings.model,
            "messages": [
                {"role": "system", "content": persona(dialogue.scenario)},
                {"role": "user", "content": "(You have opened the chat. Write first.)"},
                *({"role": roles[m.role], "content": m.content} for m in dialogue.history),
            ],
            "temperature": self._temperature,
            "max_tokens": 1024,
            "seed": zlib.crc32(place.encode()) & 0x7FFFFFFF,
        }


_PERSONA = """\
Play one person in a chat. You are {who}. {situation} A listener would call it "{event}". You feel \
{feelings}.

Write your next message and nothing else: one to three short sentences in the first person, the \
way this person types.
- React to what the listener has just written. Say more when you feel understood. Answer what you \
are asked. Grow short and guarded when you are handed advice you did not ask for, and pull back \
when your feelings are waved away or you are told the same thing twice.
- Show how you are through small concrete details rather than naming feelings.
- You came to be heard: never comfort or advise the listener, never end the chat, never step out \
of the role.
- Say nothing you have said before.
Details you may bring in, one at a time:
{details}"""


def persona(scenario: Scenario) -> str:
    """The system prompt of a played seeker."""
    return _PERSONA.format(
        who=scenario.who,
        situation=scenario.situation,
        event=scenario.event,
        feelings=", ".join(scenario.feelings),
        details="\n".join(f"- {line}" for line in scenario.follow_ups),
    )


def _read_message(answer: Any) -> str | Failure:
    reply = read_completion(answer)
    if isinstance(reply, Failure):
        return reply
    seen = visible_reply(reply.raw)
    if seen.status is not Status.OK:
        return Failure("empty", "the seeker has said nothing visible")
    return seen.text
