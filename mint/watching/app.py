"""The pages behind the kit of servers: what a browser is sent, and when files are looked at.

Files are looked at only while somebody looks at a page, and a page that took long to draw rests
accordingly, so that watching a run costs it less than `_SHARE` of a core.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib import resources

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mint.pages.html import text
from mint.watching.board import Board
from mint.watching.overview import OverviewPage
from mint.watching.pages import HEADER, NAVIGATION, Drawn, Page
from mint.web.events import Event, event_stream
from mint.web.site import html_page, make_app

SCRIPT = "live.js"
_SHARE = 0.015
"""Of a core, for drawing pages again and again."""
_POLL_S = 1.0


class Live:
    """A page that browsers look at."""

    def __init__(self, page: Page, drawing: asyncio.Lock) -> None:
        """`drawing` is shared by pages that draw from the same files."""
        self.board = Board()
        self.drawn: Drawn | None = None
        self._page = page
        self._readers = 0
        self._keeper: asyncio.Task[None] | None = None
        self._drawing = drawing

    async def draw(self) -> float:
        """Bring the board up to date; returns the processor seconds it took."""
        async with self._drawing:
            drawn, took = await asyncio.to_thread(self._draw)
        self.drawn = drawn
        self.board.show(drawn.parts)
        return took

    def _draw(self) -> tuple[Drawn, float]:
        began = time.thread_time()
        return self._page.draw(), time.thread_time() - began

    async def events(self, seen: str) -> AsyncIterator[Event]:
        """What changes from the version `seen` on."""
        self._readers += 1
        self._keeper = self._keeper or asyncio.create_task(self._keep())
        try:
            while True:
                news, seen = self.board.news(seen), self.board.seen
                now = time.time()
                for number, (name, html) in enumerate(news.items(), start=1):
                    data = {"part": name, "html": html, "now": now}
                    # Named by the last one: a connection lost before it gets all of them again.
                    last = number == len(news)
                    yield Event(name="part", data=data, id=seen if last else "")
                if self.board.seen == seen:
                    await self.board.wait()
        finally:
            self._readers -= 1
            if not self._readers and self._keeper is not None:
                self._keeper.cancel()
                self._keeper = None

    async def _keep(self) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                try:
                    took = await self.draw()
                # A page that stands still must not look like a run that does.
                except Exception:
                    traceback.print_exc()
                    took = 1.0
                await asyncio.sleep(max(_POLL_S, took / _SHARE))


def application(first: Page, token: str | None, cookie: str, stopping: asyncio.Event) -> ASGIApp:
    """`first` at /, its runs at /run/0/, /run/1/ ..."""
    drawing = asyncio.Lock()
    home = Live(first, drawing)
    runs: dict[int, Live] = {}

    def of(request: Request) -> Live:
        if "place" not in request.path_params:
            return home
        place = request.path_params["place"]
        if not isinstance(first, OverviewPage) or place >= len(first.runs):
            raise HTTPException(404)
        if place not in runs:
            runs[place] = Live(first.runs[place], drawing)
        return runs[place]

    async def show(request: Request) -> Response:
        live = of(request)
        await live.draw()
        return _page(live, isinstance(first, OverviewPage) and live is not home)

    async def events(request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")
        return event_stream(of(request).events(seen), stopping)

    routes = [
        Route("/", show),
        Route("/events", events),
        Route("/run/{place:int}/", show),
        Route("/run/{place:int}/events", events),
    ]
    scripts = {SCRIPT: resources.files("mint.watching") / SCRIPT}
    return make_app(routes, scripts, token, cookie)


def _page(live: Live, has_parent: bool) -> Response:
    assert live.drawn is not None
    outside = (HEADER, NAVIGATION)
    parts = "".join(
        f'<div data-part="{text(name)}">{html}</div>'
        for name, html in live.board.parts.items()
        if name not in outside
    )
    up = '<a href="/">All runs</a> · ' if has_parent else ""
    state = (
        f'<p id="live" class="live muted small" data-seen="{text(live.board.seen)}" '
        f'data-now="{time.time():.1f}">{up}<span id="live-said" role="status">Live: changes appear '
        "by themselves.</span></p>"
    )
    source = " from the files of the run, which it only reads"
    return html_page(live.drawn.head, live.drawn.links, state + parts, source, [SCRIPT])
