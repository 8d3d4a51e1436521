"""The HTTP client of all served graders: JSON in, parsed answer or typed `Failure` out.

| kind          | what happened                                          | tried again |
|---------------|--------------------------------------------------------|-------------|
| timeout       | no connection or no whole answer in time               | yes         |
| connection    | refused, reset, cut off                                | yes         |
| rate_limited  | 429                                                    | yes         |
| server_error  | 5xx                                                    | yes         |
| unauthorized  | 401, 403: token missing or wrong                       | no          |
| client_error  | any other status: wrong model name, prompt too long    | no          |
| malformed     | the body is not JSON                                   | no          |
| circuit_open  | not sent: too many requests in a row have failed       | no          |
| not_recorded  | replay has no answer to this request                   | no          |
| off_schema, refused, truncated, out_of_range | the parser's verdict    | no          |
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx

from rewards.errors import ConfigError
from rewards.serving.answers import Attempt, address, read_answer, with_remedy
from rewards.serving.cassette import AnswerCache, Recorder, Replay, Request, request_key
from rewards.serving.connections import SLOTS_PER_POOL, Session
from rewards.serving.retry import backoff_s
from rewards.serving.settings import EndpointConfig
from rewards.serving.urls import Breaker, Clock, UrlPool
from rewards.types import Failure

ParsedT = TypeVar("ParsedT")
Parser = Callable[[Any], ParsedT | Failure]
"""Turns the JSON of an answer into a value, or says what is wrong with it. Never raises."""

RETRIED = frozenset({"timeout", "connection", "rate_limited", "server_error"})
_DEAD = frozenset({"timeout", "connection", "server_error"})


class GraderClient:
    """Asks a group of equal servers. Usable from any event loop; keeps no connection when idle."""

    def __init__(
        self,
        settings: EndpointConfig,
        *,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Raises ConfigError when urls are missing or a file named in the settings is unusable."""
        settings.require("urls")
        self.settings = settings
        self.counts: Counter[str] = Counter()
        """asked, sent, retried, cached, and failed:<kind>, since the start."""
        self._clock, self._sleep = clock, sleep
        self._pool = UrlPool(settings.urls, settings.url_failures, settings.url_rest_s, clock)
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_rest_s, clock)
        self._random = random.Random(settings.seed)
        self._cache = AnswerCache(settings.cache) if settings.cache else None
        self._recorder = Recorder(settings.record) if settings.record else None
        self._replay = Replay(settings.replay) if settings.replay else None
        self.headers = token_headers(settings.token_file)
        self._verify = httpx.create_ssl_context(trust_env=False) if self._uses_tls() else False
        self._new_limit = False
        """Whether the servers take max_completion_tokens instead of max_tokens."""
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, Session] = WeakKeyDictionary()

    async def ask(self, request: Request, parse: Parser[ParsedT]) -> ParsedT | Failure:
        """The parsed answer, from replay, cache or a server. Failures are never cached."""
        self.counts["asked"] += 1
        key = request_key(request, self.settings.model, self.settings.revision)
        parsed = self._remembered(key, parse)
        if parsed is None:
            parsed = await self._asked(key, request, parse)
        if isinstance(parsed, Failure):
            self.counts[f"failed:{parsed.kind}"] += 1
        return parsed

    async def ask_all(
        self, requests: Sequence[Request], parse: Sequence[Parser[ParsedT]]
    ) -> list[ParsedT | Failure]:
        """Answers in the order of the requests; one parser each, one set of connections."""
        async with self.session():
            return await asyncio.gather(
                *(self.ask(request, p) for request, p in zip(requests, parse, strict=True))
            )

    async def ask_each_url(
        self, request: Request, parse: Parser[ParsedT]
    ) -> dict[str, ParsedT | Failure]:
        """Address -> its own answer to a GET of the request's path, one attempt each; no cache.

        A replay answers for all addresses at once, under the name "replay".
        """
        key = request_key(request, self.settings.model, self.settings.revision)
        if self._replay is not None:
            results = {"replay": self._replay.get(key)}
        else:
            async with self.session() as session, session.slot() as http:
                attempts = [
                    self._attempt(http, address(url, request.path)) for url in self._pool.urls
                ]
                answers = await asyncio.gather(*attempts)
            results = {u: a.result for u, a in zip(self._pool.urls, answers, strict=True)}
            if self._recorder is not None:
                self._recorder.write(key, request, next(iter(results.values())))
        return {u: r if isinstance(r, Failure) else parse(r) for u, r in results.items()}

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Connections of the running event loop, shared by all inside and closed by the last."""
        loop = asyncio.get_running_loop()
        if loop not in self._sessions:
            self._sessions[loop] = Session(self._connect, self.settings.concurrency)
        session = self._sessions[loop]
        session.users += 1
        try:
            yield session
        finally:
            session.users -= 1
            if session.users == 0:
                del self._sessions[loop]
                await session.aclose()

    def _connect(self) -> httpx.AsyncClient:
        """A pool of connections for a few requests at a time, to each address."""
        settings = self.settings
        connections = SLOTS_PER_POOL * len(settings.urls)
        return httpx.AsyncClient(
            headers=self.headers,
            timeout=httpx.Timeout(
                settings.read_timeout_s, connect=settings.connect_timeout_s, pool=None
            ),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            verify=self._verify,
            trust_env=False,  # a proxy in the environment is not a setting of the run
        )

    def _remembered(self, key: str, parse: Parser[ParsedT]) -> ParsedT | Failure | None:
        """What replay or cache says; None when a server must be asked."""
        if self._replay is not None:
            result = self._replay.get(key)
            return result if isinstance(result, Failure) else parse(result)
        cached = self._cache.get(key) if self._cache is not None else None
        parsed = None if cached is None else parse(cached)
        # An answer that a newer parser refuses is asked for again.
        if parsed is None or isinstance(parsed, Failure):
            return None
        self.counts["cached"] += 1
        return parsed

    async def _asked(self, key: str, request: Request, parse: Parser[ParsedT]) -> ParsedT | Failure:
        """A server's answer, recorded and cached."""
        result = await self._send(request)
        if self._recorder is not None:
            self._recorder.write(key, request, result)
        parsed = result if isinstance(result, Failure) else parse(result)
        if self._cache is not None and not isinstance(parsed, Failure):
            self._cache.put(key, result)
        return parsed

    async def _send(self, request: Request) -> Any:
        async with self.session() as session, session.slot() as http:
            retries = 0 if self._breaker.is_open else self.settings.retries
            if not self._breaker.admit():
                return _circuit_open(self.settings)
            try:
                result = await self._attempts(http, request, retries)
            except BaseException:
                self._breaker.abandoned()
                raise
            if isinstance(result, Failure) and result.kind in _DEAD:
                self._breaker.failed()
            else:
                self._breaker.succeeded()
            return result

    async def _attempts(self, http: httpx.AsyncClient, request: Request, retries: int) -> Any:
        """JSON of the first good answer, or the Failure of the last attempt."""
        for number in range(retries + 1):
            url = self._pool.pick()
            self.counts["sent"] += 1
            body = self._body(request.body)
            content = json.dumps(body, ensure_ascii=True).encode()
            attempt = await self._attempt(http, address(url, request.path), content)
            failure = attempt.result
            if not (isinstance(failure, Failure) and failure.kind in _DEAD):
                self._pool.succeeded(url)
            else:
                self._pool.failed(url)
            if isinstance(failure, Failure) and self._renames_limit(failure, body):
                return await self._attempts(http, request, retries)
            if not isinstance(failure, Failure):
                return failure
            if failure.kind not in RETRIED:
                return with_remedy(failure, self.settings.where)
            if number == retries or self._breaker.is_open:
                break
            self.counts["retried"] += 1
            await self._sleep(self._wait_s(number, attempt.retry_after_s))
        return Failure(failure.kind, f"{failure.message} ({number + 1} attempts)")

    def _body(self, body: Any) -> Any:
        """What is sent: without `omit`, and with the limit under the name the server takes."""
        if not isinstance(body, Mapping):
            return body
        sent = {name: value for name, value in body.items() if name not in self.settings.omit}
        if self._new_limit and "max_tokens" in sent:
            sent["max_completion_tokens"] = sent.pop("max_tokens")
        return sent

    def _renames_limit(self, failure: Failure, body: Any) -> bool:
        """Whether a refusal says that the limit has another name; it is sent under it from now."""
        asks = failure.kind == "client_error" and "max_completion_tokens" in failure.message
        self._new_limit |= asks
        return asks and isinstance(body, Mapping) and "max_tokens" in body

    def _wait_s(self, number: int, asked_for: float | None) -> float:
        cap = self.settings.backoff_cap_s
        if asked_for is not None:
            return min(asked_for, cap)
        return backoff_s(number, self.settings.backoff_s, cap, self._random)

    async def _attempt(
        self, http: httpx.AsyncClient, url: str, content: bytes | None = None
    ) -> Attempt:
        """One POST of `content`, or a GET without it."""
        limit = self.settings.connect_timeout_s + self.settings.read_timeout_s
        try:
            # httpx bounds the silence between two bytes; this bounds the whole answer.
            async with asyncio.timeout(limit):
                answer = await http.request(
                    "GET" if content is None else "POST",
                    url,
                    content=content,
                    headers={"Content-Type": "application/json"},
                )
        except (TimeoutError, httpx.TimeoutException):
            return Attempt(Failure("timeout", f"{url}: no answer in {limit:g} s"))
        except httpx.TransportError as error:
            return Attempt(Failure("connection", f"{url}: {error or type(error).__name__}"))
        except httpx.HTTPError as error:
            return Attempt(Failure("malformed", f"{url}: {error}"))
        return read_answer(answer, url)

    def _uses_tls(self) -> bool:
        return any(url.startswith("https:") for url in self.settings.urls)


def token_headers(token_file: str | None) -> dict[str, str]:
    """The header that carries the token, {} without one. Raises ConfigError for a bad file."""
    if token_file is None:
        return {}
    try:
        lines = Path(token_file).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"token_file {token_file} cannot be read: {error}") from error
    token = lines[0].strip() if lines else ""
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigError(f"token_file {token_file} must hold the token in its first line")
    return {"Authorization": f"Bearer {token}"}


def _circuit_open(settings: EndpointConfig) -> Failure:
    return Failure(
        "circuit_open",
        f"not sent: {settings.breaker_failures} requests in a row have failed; servers "
        f"{', '.join(settings.urls)} are tried again every {settings.breaker_rest_s:g} s",
    )
