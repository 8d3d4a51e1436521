"""What the chat page asks the server. Nothing here starts training or reads a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mint.chatting.conversation import Conversation
from mint.chatting.house import Asked, House, facts_of
from mint.chatting.page import SCRIPTS, chat_page
from mint.chatting.records import training_record
from mint.web.events import Event, event_stream
from mint.web.site import make_app
from rewards.errors import ConfigError, DataError

Act = Callable[[House, Conversation, Mapping[str, Any]], Any]


def chat_app(house: House, token: str | None, port: int, stopping: asyncio.Event) -> ASGIApp:
    """The application; `stopping` is set when the server ends."""
    site = _Site(house, stopping)
    one = "/conversations/{name}"
    routes = [
        Route("/", site.page),
        Route("/facts", site.facts),
        Route("/conversations", site.begin, methods=["POST"]),
        Route(f"{one}/events", site.events),
        Route(f"{one}/record/{{side:int}}", site.record),
        *(Route(f"{one}/{name}", site.acting(act), methods=["POST"]) for name, act in ACTS.items()),
    ]
    scripts = {name: resources.files("mint.chatting") / name for name in SCRIPTS}
    return make_app(routes, scripts, token, f"mint-chat-{port}")


def _say(house: House, conversation: Conversation, body: Mapping[str, Any]) -> None:
    conversation.say(_field(body, "text", str))


def _next(house: House, conversation: Conversation, body: Mapping[str, Any]) -> None:
    conversation.next()


def _vote(house: House, conversation: Conversation, body: Mapping[str, Any]) -> dict[str, str]:
    turn, choice = _field(body, "turn", int), _field(body, "choice", str)
    return {"file": str(house.vote(conversation, turn, choice))}


def _reveal(house: House, conversation: Conversation, body: Mapping[str, Any]) -> None:
    conversation.reveal()


def _stop(house: House, conversation: Conversation, body: Mapping[str, Any]) -> Awaitable[None]:
    return conversation.stop()


def _save(house: House, conversation: Conversation, body: Mapping[str, Any]) -> dict[str, str]:
    return {"file": str(house.save(conversation))}


ACTS: Mapping[str, Act] = {
    "say": _say,
    "next": _next,
    "vote": _vote,
    "reveal": _reveal,
    "stop": _stop,
    "save": _save,
}
"""What can be done with a conversation, by the last part of the address."""


class _Site:
    """The handlers; what a request got wrong is one line with status 400."""

    def __init__(self, house: House, stopping: asyncio.Event) -> None:
        self._house, self._stopping = house, stopping

    async def page(self, request: Request) -> Response:
        return chat_page(self._house)

    async def facts(self, request: Request) -> Response:
        return JSONResponse(facts_of(self._house))

    async def begin(self, request: Request) -> Response:
        body = await _body(request)
        try:
            conversation = await self._house.begin(Asked.parse(body))
        except (DataError, ConfigError) as error:
            raise HTTPException(400, str(error)) from error
        return JSONResponse({"name": conversation.name})

    async def events(self, request: Request) -> Response:
        conversation = self._find(request)
        last = request.headers.get("last-event-id", "")
        start = int(last) + 1 if last.isdecimal() and len(last) < 9 else 0
        return event_stream(_told(conversation, start), self._stopping)

    async def record(self, request: Request) -> Response:
        conversation = self._find(request)
        try:
            record = training_record(conversation, request.path_params["side"])
        except DataError as error:
            raise HTTPException(400, str(error)) from error
        return PlainTextResponse(json.dumps(record, ensure_ascii=False) + "\n")

    def acting(self, act: Act) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            conversation, body = self._find(request), await _body(request)
            try:
                done = act(self._house, conversation, body)
                done = await done if isinstance(done, Awaitable) else done
            except (DataError, ConfigError) as error:
                raise HTTPException(400, str(error)) from error
            return JSONResponse(done or {})

        return handler

    def _find(self, request: Request) -> Conversation:
        try:
            return self._house.find(request.path_params["name"])
        except DataError as error:
            raise HTTPException(404, str(error)) from error


async def _told(conversation: Conversation, start: int) -> AsyncIterator[Event]:
    async for number, event in conversation.feed.follow(start):
        yield Event(name="told", data=event, id="" if number is None else str(number))


async def _body(request: Request) -> Mapping[str, Any]:
    """The JSON object of a request. Only scripts of own pages send this kind without being asked
    by the browser first."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "expected application/json")
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "expected JSON") from error
    if not isinstance(body, dict):
        raise HTTPException(400, "expected a JSON object")
    return body


def _field(body: Mapping[str, Any], name: str, kind: type) -> Any:
    if name not in body or type(body[name]) is not kind:
        raise DataError(f"{name} is missing or of the wrong kind")
    return body[name]
