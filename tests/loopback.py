"""A real HTTP server on loopback that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS


class Seen(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Answer:
    """What the server does with a request."""

    body: Any = None
    """JSON value, or bytes sent as they are."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False
    """Promise a body and close the connection in the middle of it."""


Handler = Callable[[Seen], Answer]


class _Quiet(ThreadingHTTPServer):
    """Says nothing about clients that went away."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError | ValueError):
            super().handle_error(request, client_address)


class Loopback:
    """The server; `url` is its address, `seen` what it was asked, `peak` the most at one time."""

    def __init__(self, handler: Handler, port: int = 0) -> None:
        self.handler = handler
        self.seen: list[Seen] = []
        self.peak = 0
        self.opened = 0
        self.closed = 0
        self._now = 0
        self._lock = threading.Lock()
        self._http = _Quiet(("127.0.0.1", port), self._handler_class())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def posts(self) -> list[Seen]:
        """Requests with a body."""
        return [seen for seen in self.seen if seen.method == "POST"]

    def stop(self) -> None:
        """Stop listening; further connections are refused."""
        self._http.shutdown()
        self._http.server_close()

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class RequestHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                with outer._lock:
                    outer.opened += 1

            def finish(self) -> None:
                super().finish()
                with outer._lock:
                    outer.closed += 1

            def do_GET(self) -> None:
                self._answer("GET", None)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                self._answer("POST", json.loads(self.rfile.read(length)))

            def _answer(self, method: str, body: Any) -> None:
                seen = Seen(method, self.path, dict(self.headers), body)
                with outer._lock:
                    outer.seen.append(seen)
                    outer._now += 1
                    outer.peak = max(outer.peak, outer._now)
                try:
                    answer = outer.handler(seen)
                    time.sleep(answer.delay_s)
                finally:
                    # Before the answer, upon which the client may send the next request at once.
                    with outer._lock:
                        outer._now -= 1
                try:
                    self._send(answer)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def _send(self, answer: Answer) -> None:
                raw = answer.body
                data = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if answer.cut else data)
                if answer.cut:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        return RequestHandler


def chat(text: str, tokens: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    """A chat completion; `tokens` in OpenAI's form of log-probabilities."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "logprobs": None if tokens is None else {"content": tokens},
    }
    return {"object": "chat.completion", "choices": [{**choice, **changes}]}


def models(*names: str, root: str = "weights") -> dict[str, Any]:
    """The answer of /v1/models."""
    return {"object": "list", "data": [{"id": name, "root": f"{root}/{name}"} for name in names]}


class GraderServer:
    """Ten adapters, a base model and a chat model behind a token, if one is set."""

    def __init__(self) -> None:
        self.models = [*TACTIC_NAMES, "llama", "chat"]
        self.root = "weights"
        self.token: str | None = None
        self.health = 200
        self.noise = iter(range(10**6))
        self.fault: Callable[[Seen], Answer | None] = lambda seen: None

    def __call__(self, seen: Seen) -> Answer:
        fault = self.fault(seen)
        if fault is not None:
            return fault
        if self.token and seen.headers.get("Authorization") != f"Bearer {self.token}":
            return Answer(status=401, body={"error": "Unauthorized"})
        if seen.path == "/health":
            return Answer(b"", status=self.health)
        if seen.path == "/v1/models":
            return Answer(models(*self.models, root=self.root))
        if seen.body["model"] == "chat":
            ratings = dict.fromkeys(DIMENSIONS, 2 + next(self.noise) % 3)
            return Answer(chat(json.dumps(ratings)))
        score = int(seen.body["model"] == "questioning" and seen.body["seed"] % 2 == 0)
        return Answer(chat(f"<score>{score}</score>"))
