"""The kit of the servers with pages: who is answered, with what headers, and how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from mint.pages import page
from mint.web.events import Event, event_stream
from mint.web.guard import MAX_BODY, content_security_policy
from mint.web.listen import WebSettings, check_port, is_loopback, listener, read_token
from mint.web.site import html_page, make_app
from mint.web.token import Token
from rewards.errors import ConfigError

TOKEN = "correct horse battery staple"
PAGE = {"accept": "text/html,application/xhtml+xml"}


async def home(request: Request) -> object:
    head = page.Head(title="t", kicker="k", heading="<b>&", about=[], skip_to="x")
    return html_page(head, {}, "", "", scripts=["one.js"])


async def echo(request: Request) -> object:
    return JSONResponse({"bytes": len(await request.body())})


async def broken(request: Request) -> object:
    raise RuntimeError("a secret of the server")


ROUTES = [Route("/", home), Route("/echo", echo, methods=["POST"]), Route("/broken", broken)]


@pytest.fixture
def scripts(tmp_path: Path) -> dict[str, Path]:
    path = tmp_path / "one.js"
    path.write_text("let one = 1;")
    return {"one.js": path}


@pytest.fixture
def client(scripts: dict[str, Path]) -> TestClient:
    app = make_app(ROUTES, scripts, token=None)
    return TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False)


@pytest.fixture
def strict(scripts: dict[str, Path]) -> TestClient:
    return TestClient(make_app(ROUTES, scripts, TOKEN, "mint_8000"), "http://machine.example:8000")


def test_pages_load_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy == content_security_policy()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "&lt;b&gt;&amp;" in answer.text
    assert '<script src="/scripts/one.js"></script>' in answer.text


def test_the_style_of_pages_is_the_one_the_policy_allows(client: TestClient) -> None:
    import base64
    import hashlib

    (style,) = re.findall(r"<style>(.*?)</style>", client.get("/").text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in content_security_policy()


def test_only_own_scripts_are_served(client: TestClient) -> None:
    own = client.get("/scripts/one.js")
    assert (own.status_code, own.text) == (200, "let one = 1;")
    assert own.headers["content-type"].startswith("text/javascript")
    for other in ("two.js", "../one.js", "..%2f..%2fetc%2fpasswd", "%00"):
        refused = client.get(f"/scripts/{other}")
        assert refused.status_code == 404
        assert refused.headers["content-security-policy"] == content_security_policy()


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "[::1]:80", "127.3.2.1"])
def test_names_of_this_machine_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil", "", "[", "10.0.0.1"]
)
def test_other_names_are_refused_without_a_token(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:9000"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://evil.example", "sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_changes_come_from_own_pages(client: TestClient, headers: dict, status: int) -> None:
    assert client.post("/echo", content=b"x", headers=headers).status_code == status


def test_bodies_have_a_limit(client: TestClient) -> None:
    assert client.post("/echo", content=b"x" * MAX_BODY).json() == {"bytes": MAX_BODY}
    assert client.post("/echo", content=b"x" * (MAX_BODY + 1)).status_code == 413
    unannounced = (b"x" * 1000 for _ in range(MAX_BODY // 1000 + 1))
    assert client.post("/echo", content=unannounced).status_code == 413
    assert client.post("/echo", headers={"content-length": "-1"}).status_code == 413


def test_errors_repeat_nothing(client: TestClient) -> None:
    missing = client.get("/nothing<script>")
    assert (missing.status_code, missing.text) == (404, "there is nothing here\n")
    assert client.post("/").status_code == 405
    failed = client.get("/broken")
    assert failed.status_code == 500
    assert "secret" not in failed.text


def test_without_the_token_nothing_is_seen(strict: TestClient) -> None:
    for path in ("/", "/scripts/one.js", "/nothing"):
        assert strict.get(path).status_code == 401
        form = strict.get(path, headers=PAGE)
        assert form.status_code == 401
        assert 'action="/login"' in form.text
    assert strict.post("/echo", content=b"x").status_code == 401
    assert strict.get("/", headers={"cookie": "mint_8000=x; ;;=\x01"}).status_code == 401


@pytest.mark.slow
def test_the_token_is_sent_once_and_kept_as_something_else(strict: TestClient) -> None:
    wrong = strict.post("/login", data={"token": "wrong"})
    assert wrong.status_code == 401
    assert "That is not the token." in wrong.text
    for garbage in (b"\xff", b"token", b"&" * 50, b"other=1"):
        assert strict.post("/login", content=garbage).status_code == 401
    right = strict.post("/login", data={"token": TOKEN}, follow_redirects=False)
    assert (right.status_code, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert strict.get("/").status_code == 200


def test_programs_send_a_bearer_token(strict: TestClient) -> None:
    def status(sent: str) -> int:
        return strict.get("/", headers={"authorization": sent}).status_code

    assert status(f"Bearer {TOKEN}") == 200
    assert status(f"Bearer {TOKEN}x") == 401
    assert status(f"Basic {TOKEN}") == 401
    assert status(f"Bearer {Token(TOKEN).session}") == 401


def test_sessions_of_another_token_do_not_count() -> None:
    assert Token("a").session == Token("a").session
    assert not Token("a").is_session(Token("b").session)
    assert Token("a").is_session(Token("a").session)


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("h", False)],
)
def test_another_address_needs_a_token(host: str, own: bool) -> None:
    assert is_loopback(host) is own
    if own:
        assert WebSettings(host=host).host == host
    else:
        with pytest.raises(ConfigError, match=rf"host={host} can be reached .* token_file=FILE"):
            WebSettings(host=host)
        assert WebSettings(host=host, token_file="t").token_file == "t"


def test_ports_and_tokens_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"port must be in 0\.\.65535, got 70000"):
        WebSettings(port=70000)
    with listener("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port}"):
            check_port("127.0.0.1", port)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(str(tmp_path / "none"))
    (tmp_path / "token").write_text("abc\nsecond line\n")
    assert read_token(str(tmp_path / "token")) == "abc"
    assert read_token(None) is None


def test_nothing_can_end_an_event_early() -> None:
    sent = Event(name="part", id="7", data={"html": "a\n\nevent: b\u2028\r\ndata: c"}).encode()
    lines = sent.decode().split("\n")
    assert lines[:2] == ["id: 7", "event: part"]
    assert lines[3:] == ["", ""]
    assert json.loads(lines[2].removeprefix("data: "))["html"].startswith("a\n\nevent: b")


def test_streams_end_with_their_events_and_with_the_server() -> None:
    closed = []

    async def events(many: int) -> AsyncIterator[Event]:
        try:
            for i in range(many):
                yield Event(name="n", data=i)
            await asyncio.sleep(60)
        finally:
            closed.append(many)

    async def read(many: int, stop_at: int) -> list[bytes]:
        stopping = asyncio.Event()
        got = []
        async for part in event_stream(events(many), stopping).body_iterator:
            got.append(part)
            if len(got) == stop_at:
                stopping.set()
        return got

    got = asyncio.run(asyncio.wait_for(read(3, stop_at=4), 5))
    assert got == [b"retry: 2000\n\n", *(f"event: n\ndata: {i}\n\n".encode() for i in range(3))]
    assert closed == [3]


SERVER = """
    import asyncio, sys
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from mint.web.events import Event, event_stream
    from mint.web.listen import WebSettings
    from mint.web.server import serve
    from mint.web.site import make_app

    async def forever():
        n = 0
        while True:
            yield Event(name="tick", data=n)
            n += 1
            await asyncio.sleep(0.1)

    def make(port, stopping):
        async def ticks(request):
            return event_stream(forever(), stopping)
        return make_app([Route("/ticks", ticks)], {}, None)

    serve(make, WebSettings(), "sample")
    print("ended")
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_and_its_open_streams(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        address = re.fullmatch(r"sample: (http://127\.0\.0\.1:\d+)/ \(Ctrl-C ends it\)\n", line)[1]
        with httpx.stream("GET", f"{address}/ticks", timeout=10) as answer:
            lines = answer.iter_lines()
            assert "event: tick" in [next(lines) for _ in range(4)]
            process.send_signal(number)
            list(lines)  # ends
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, "ended\n", "")
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_garbage_is_survived() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER)], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
        for sent in (
            b"\x00" * 100,
            b"GET /" + b"a" * 100_000,
            b"GET / HTTP/1.1\r\nHost: a\r\n" * 9,
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(sent + b"\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 4")
        assert httpx.get(f"http://127.0.0.1:{port}/x", timeout=5).status_code == 404
    finally:
        process.kill()
        process.wait()
