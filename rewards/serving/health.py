"""Whether the servers are there and the right ones: before the first step and during the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from rewards.errors import ConfigError
from rewards.serving.cassette import Request
from rewards.serving.client import GraderClient
from rewards.serving.settings import EndpointConfig
from rewards.types import Failure, ServerHealth

MODELS = "/v1/models"
HEALTH = "/health"
"""vLLM answers 503 here when its engine has died, while /v1/models still works."""
PROBE_TIMEOUT_S = 3.0


async def served_models(client: GraderClient, names: Sequence[str]) -> dict[str, str]:
    """Model name -> what the servers say it is made of (`root`), for the names needed.

    Raises one ConfigError that names every server that does not answer, refuses the token, lacks a
    name, or says something else than the first good one. In a replay the recorded answer is used.
    """
    settings = client.settings
    answers = await client.ask_each_url(Request(MODELS, {}), _read_models)
    said: dict[str, str] = {}
    problems = []
    for url, models in answers.items():
        if isinstance(models, Failure):
            problems.append(_explain(settings.where, url, models, settings.token_file))
            continue
        missing = [name for name in names if name not in models]
        if missing:
            problems.append(
                f"{settings.where}: {url} does not serve {', '.join(missing)}; it serves "
                f"{', '.join(sorted(models)) or 'nothing'} (set {settings.where}.model, or start "
                "the server with these names)"
            )
            continue
        mine = {name: models[name] for name in names}
        if said and mine != said:
            problems.append(
                f"{settings.where}.urls must all serve the same models: {url} has {mine}, the "
                f"others have {said}"
            )
        said = said or mine
    if problems:
        raise ConfigError("; ".join(problems))
    return said


def probe(settings: EndpointConfig) -> list[ServerHealth]:
    """Whether each server answers a GET now; at most PROBE_TIMEOUT_S, all at the same time.

    Any answer below 500 counts, also that a token is missing: the question is whether the server
    is alive. A replay has no servers.
    """
    urls = [] if settings.replay else [url.rstrip("/") for url in settings.urls]
    if not urls:
        return []

    def ask(url: str) -> ServerHealth:
        started = time.perf_counter()
        try:
            answer = httpx.get(url + HEALTH, timeout=PROBE_TIMEOUT_S, trust_env=False)
            up = answer.status_code < 500
        except httpx.HTTPError:
            up = False
        return ServerHealth(url, up, time.perf_counter() - started)

    with ThreadPoolExecutor(max_workers=len(urls)) as pool:
        return list(pool.map(ask, urls))


def _read_models(answer: Any) -> dict[str, str] | Failure:
    try:
        return {str(card["id"]): str(card.get("root") or card["id"]) for card in answer["data"]}
    except (KeyError, TypeError, AttributeError):
        return Failure("off_schema", "the answer to /v1/models is no list of models")


def _explain(where: str, url: str, failure: Failure, token_file: str | None) -> str:
    if failure.kind == "unauthorized":
        have = f"the token in {token_file}" if token_file else "a request without token"
        return f"{where}: {url} refuses {have}; set {where}.token_file to a file with its token"
    if failure.kind in ("timeout", "connection"):
        return (
            f"{where}: no server answers at {url} ({failure.message}); start it, or change "
            f"{where}.urls"
        )
    return f"{where}: {url} is no usable server: {failure.kind}: {failure.message}"
