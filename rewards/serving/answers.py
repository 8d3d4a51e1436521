"""What a server's HTTP answer means: its JSON, or a typed `Failure`."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx

from rewards.serving.retry import retry_after_s
from rewards.types import Failure

_SHOWN = 200
_CHAT = "/chat/completions"
_VERSION = re.compile(r"v\d+\w*")
_REFUSED = re.compile(
    r"(?:un(?:supported|known|recogni[sz]ed|expected)|extra|invalid|not (?:supported|permitted))"
    r"[^{}]{0,60}?\b(temperature|top_p|seed|logprobs|top_logprobs|chat_template_kwargs"
    r"|response_format)\b",
    re.IGNORECASE,
)


class Attempt(NamedTuple):
    """One request and what came of it."""

    result: Any
    """JSON of the answer, or a Failure."""
    retry_after_s: float | None = None


def read_answer(answer: httpx.Response, url: str) -> Attempt:
    """JSON of a good answer, or the Failure that its status or body means."""
    status = answer.status_code
    if 200 <= status < 300:
        try:
            value = json.loads(answer.content, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            return Attempt(Failure("malformed", f"{url}: the answer is not JSON: {error}"))
        passed_on = error_status(value)
        if passed_on is None:
            return Attempt(value)
        status = passed_on
    said = " ".join(answer.text.split())[:_SHOWN]
    message = f"{url}: status {status}" + (f": {said}" if said else "")
    if status == 429:
        asked_for = retry_after_s(answer.headers.get("Retry-After"))
        return Attempt(Failure("rate_limited", message), asked_for)
    if status in (401, 403):
        return Attempt(Failure("unauthorized", message))
    return Attempt(Failure("server_error" if status >= 500 else "client_error", message))


def address(url: str, path: str) -> str:
    """Where a route is. A base with a version in it (.../v1, .../v1beta/openai, .../paas/v4) is
    complete; to any other the route's own /v1 is added. An address that ends in the chat route
    itself is taken as it stands, and a query stays at the end.

    >>> address("http://h/v1beta/openai", "/v1/chat/completions")
    'http://h/v1beta/openai/chat/completions'
    """
    parts = urlsplit(url)
    base = parts.path.rstrip("/")
    whole = base.endswith(_CHAT)
    base = base.removesuffix(_CHAT)
    versioned = whole or any(map(_VERSION.fullmatch, base.split("/")))
    route = path.removeprefix("/v1") if versioned else path
    return urlunsplit(parts._replace(path=base + route))


def error_status(value: Any) -> int | None:
    """The status that an answer of status 200 should have had; None for a good one.

    Gateways pass on the error of an overloaded provider so.
    """
    error = _error_in(value)
    if not error:
        return None
    code = error.get("code", error.get("status")) if isinstance(error, dict) else None
    if not str(code).isdecimal():
        return 429 if "rate" in str(code or error).lower() else 503
    status = int(str(code))
    return status if 400 <= status < 600 else 503


def _error_in(value: Any) -> Any:
    """The error of an answer without a result, or of its only choice."""
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], dict):
        return choices[0].get("error")
    given = any(value.get(name) for name in ("choices", "data", "rewards"))
    return None if given else value.get("error")


def with_remedy(failure: Failure, where: str) -> Failure:
    """The failure; with the setting that leaves a parameter out where the server takes it ill."""
    found = _REFUSED.search(failure.message)
    if failure.kind != "client_error" or found is None:
        return failure
    return Failure(failure.kind, f"{failure.message}; {where}.omit=[{found[1]}] leaves it out")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
