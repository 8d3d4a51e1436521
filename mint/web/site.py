"""Routes, scripts and pages as one application behind the guard."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from mint.pages import page
from mint.pages.html import section
from mint.web.guard import LOGIN, Guard
from mint.web.token import Token

_WRONG_TOKEN_S = 0.5
"""How long a wrong token is thought about; one at a time, so that guessing is slow."""


def script_address(name: str) -> str:
    """Where a page finds a script of the site."""
    return f"/scripts/{name}"


def make_app(
    routes: Sequence[BaseRoute],
    scripts: Mapping[str, Traversable],
    token: str | None,
    cookie: str = "mint",
) -> ASGIApp:
    """The application.

    `scripts`: name -> file that ships with mint; `token`: what other machines must know, None for
    a server on loopback; `cookie`: name of the cookie that says the token was given, one a server.
    """
    contents = {name: file.read_text(encoding="utf-8") for name, file in scripts.items()}

    async def script(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in contents:
            raise HTTPException(404)
        return PlainTextResponse(contents[name], media_type="text/javascript")

    own: list[BaseRoute] = [Route(script_address("{name}"), script), *routes]
    known = None if token is None else Token(token)
    if known is not None:
        own.append(_login(known, cookie))
    app = Starlette(routes=own, exception_handlers={HTTPException: _explain, Exception: _broken})
    return Guard(app, known, _form(), cookie)


def html_page(
    head: page.Head,
    links: Mapping[str, str],
    body: str,
    source: str,
    scripts: Sequence[str] = (),
    status: int = 200,
) -> HTMLResponse:
    """A page of the kit with scripts of the site."""
    addresses = [script_address(name) for name in scripts]
    return HTMLResponse(page.render(head, links, body, source, addresses), status)


def _login(token: Token, cookie: str) -> Route:
    one_at_a_time = asyncio.Lock()

    async def login(request: Request) -> Response:
        try:
            fields = parse_qs((await request.body()).decode("ascii"), max_num_fields=4)
        except ValueError:
            fields = {}
        given = fields["token"][0] if "token" in fields else ""
        if token.matches(given.strip().encode()):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(cookie, token.session, httponly=True, samesite="strict")
            return answer
        async with one_at_a_time:
            await asyncio.sleep(_WRONG_TOKEN_S)
        return _form("That is not the token.")

    return Route(LOGIN, login, methods=["POST"])


def _form(error: str = "") -> Response:
    body = (
        f'<form class="filters" method="post" action="{LOGIN}"><input name="username" '
        'autocomplete="username" value="mint" hidden><label>Token<input name="token" '
        'type="password" autocomplete="current-password" required></label>'
        "<button>Open</button></form>"
    )
    lead = "The first line of the file that the server was started with (token_file)."
    head = page.Head(
        title="mint",
        kicker="mint",
        heading="A token is needed",
        about=[],
        skip_to="form",
        error=error,
    )
    return html_page(head, {}, section("token", "Token", body, lead), "", status=401)


async def _explain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # Without what was asked for: an answer repeats nothing that a request says.
    words = {404: "there is nothing here", 405: "this address does not take that method"}
    said = words.get(error.status_code, error.detail)
    return PlainTextResponse(f"{said}\n", error.status_code, headers=error.headers)


async def _broken(request: Request, error: Exception) -> Response:
    return PlainTextResponse("something broke; the terminal of the server says what\n", 500)
