"""A model behind an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mint.evaluation.generation import Generation
from mint.evaluation.sources.ready import count_tokens
from mint.evaluation.sources.requests import ReplyRequest, Sampling
from rewards.errors import ConfigError
from rewards.serving.cassette import Request
from rewards.serving.client import GraderClient
from rewards.serving.formats import refusal_of, request_seed, text_of
from rewards.serving.settings import EndpointConfig
from rewards.types import Failure

ROUTE = "/v1/chat/completions"


@dataclass(frozen=True, kw_only=True)
class SubjectEndpoint(EndpointConfig):
    """The server of the evaluated model."""

    where: ClassVar[str] = "server"


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
        omitted = {"omitted": list(settings.omit)} if settings.omit else {}
        return {
            "kind": "endpoint",
            "model": settings.model,
            "revision": settings.revision,
            **omitted,
        }

    async def stream(
        self, requests: Sequence[ReplyRequest], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Generation | Failure]]:
        """See `ReplySource`."""

        async def ask(position: int) -> tuple[int, Generation | Failure]:
            body = self._body(requests[position], sampling)
            return position, await self._client.ask(Request(ROUTE, body), read_completion)

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
        body: dict[str, Any] = {
            "model": self._client.settings.model,
            "messages": list(request.messages),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
            "seed": request_seed(sampling.seed, *request.key[1:]),
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
        content, parts = text_of(message["content"]), message["content"]
        finish = choice.get("finish_reason")  # some servers do not say
    except (KeyError, IndexError, TypeError, AttributeError):
        return Failure("off_schema", f"no chat completion: {str(answer)[:120]!r}")
    refused = refusal_of(message, finish)
    if refused is not None:
        return refused
    truncated = finish == "length"
    if content is None or content == "":
        apart = ("reasoning_content", "reasoning", "thinking")
        thought = bool(parts) or any(message.get(name) for name in apart)
        if thought and not truncated:
            return Failure(
                "off_schema",
                "the server gave the whole answer as reasoning: its reasoning parser takes a reply "
                "without thinking for one; start it without the parser, or set thinking=true",
            )
        # The server has cut the thinking off: the reply ended inside it.
        content = "<think>" if thought else ""
    if not isinstance(content, str):
        return Failure("off_schema", f"content must be text, got {type(content).__name__}")
    return Generation(content, count_tokens(content), truncated)
