"""ASGI middleware for vLLM (`--middleware`): a bearer token on every path but /health.

vLLM's own check covers only paths below /v1 and a few more, so /classify, /pooling, /tokenize or
/invocations would answer anyone.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mint.web.token import Token

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class RequireToken:
    """Answers 401 unless the request carries the token; GET /health is open."""

    def __init__(self, app: App, token: str | None = None) -> None:
        """`token` None takes vLLM's own API key: vLLM gives a middleware no arguments."""
        if token is None:
            from vllm import envs

            token = envs.VLLM_API_KEY
        if not token:
            raise ValueError("RequireToken needs a token: VLLM_API_KEY is not set")
        self._app = app
        self._token = Token(token)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._allowed(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "unauthorized"})
        else:
            await _unauthorized(send)

    def _allowed(self, scope: Message) -> bool:
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("GET", "/health"):
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        return scheme.lower() == b"bearer" and self._token.matches(token.strip())


async def _unauthorized(send: Send) -> None:
    body = json.dumps({"error": "a valid bearer token is needed"}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", b"Bearer"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})
