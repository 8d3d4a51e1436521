"""What every request passes before a page sees it, and the headers of every answer.

host     a page of another site must not reach a loopback server under a name of its own
         (DNS rebinding): without a token only names of this machine are answered
origin   what changes something is taken from the server's own pages alone
size     bodies beyond a limit are refused, announced or not
token    for servers that other machines can reach; as cookie or bearer token, never in an address
headers  a Content-Security-Policy under which a page loads nothing from elsewhere and runs no
         script that does not ship with mint
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib import resources
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mint.web.listen import is_loopback
from mint.web.token import Token

MAX_BODY = 256 * 1024
"""Bytes of a request's body at most."""
LOGIN = "/login"
_SAFE = ("GET", "HEAD", "OPTIONS")
_INLINE_SCRIPTS = ("explorer.js",)
"""Scripts of `mint.pages` that stand inside pages."""


def content_security_policy() -> str:
    """Own scripts, own style, own requests, and nothing else."""
    scripts = " ".join(_hashes(_INLINE_SCRIPTS))
    (style,) = _hashes(["style.css"])
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' {scripts}",
            f"style-src {style}",
            "img-src data:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _hashes(names: Iterable[str]) -> list[str]:
    folder = resources.files("mint.pages")
    digests = (hashlib.sha256((folder / name).read_bytes()).digest() for name in names)
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


_TOO_LARGE = f"a request may have {MAX_BODY} bytes"


class Guard:
    """ASGI middleware: see above."""

    def __init__(self, app: ASGIApp, token: Token | None, ask: Response, cookie: str) -> None:
        """`ask` is the page with the form for the token, `cookie` the name of the cookie that
        says it was given."""
        self._app, self._token, self._ask, self._cookie = app, token, ask, cookie
        self._headers = {
            "content-security-policy": content_security_policy(),
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
            "cache-control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, self._marking(send))
        else:  # no page uses WebSockets
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not served"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _limited(receive), send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request that no page may see."""
        if self._token is None and not _is_own_name(headers.get("host", "")):
            return _refuse(421, "this server answers to 127.0.0.1 and localhost only")
        if scope["method"] not in _SAFE and not _is_own_page(headers):
            return _refuse(403, "requests that change something come from the server's own pages")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return _refuse(413, _TOO_LARGE)
        if self._token is None or scope["path"] == LOGIN or self._is_known(headers):
            return None
        wants_page = "text/html" in headers.get("accept", "")
        return self._ask if wants_page else _refuse(401, "a token is needed")

    def _is_known(self, headers: Headers) -> bool:
        assert self._token is not None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._token.matches(given.strip().encode())
        # Other servers of this machine set cookies too, and some are none of the standard's.
        kept = cookie_parser(headers.get("cookie", "")).get(self._cookie)
        return kept is not None and self._token.is_session(kept)

    def _marking(self, send: Send) -> Send:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        return marked


def _is_own_name(host: str) -> bool:
    """Whether a Host header, with or without port, names this machine's loopback."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _is_own_page(headers: Headers) -> bool:
    """Whether a browser says that its request comes from a page of this server; programs that are
    no browser say nothing."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")


def _limited(receive: Receive) -> Receive:
    """`receive` that raises HTTPException when more than `MAX_BODY` bytes come."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return limited


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status)
