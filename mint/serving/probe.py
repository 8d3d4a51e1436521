"""What a server says about itself over HTTP."""

from __future__ import annotations

import http.client
import json
import urllib.request
from typing import Any

from rewards.errors import MintError

_TIMEOUT_S = 10.0


class ServerError(MintError, RuntimeError):
    """A server did not start, died too often, or is not the expected one."""


def is_healthy(url: str) -> bool:
    """Whether GET /health answers 200 within 10 s."""
    try:
        with _open(f"{url}/health", None) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def model_names(url: str, token: str | None) -> set[str]:
    """Names that requests may ask for. Raises ServerError when there is no such list."""
    try:
        with _open(f"{url}/v1/models", token) as answer:
            return {entry["id"] for entry in json.load(answer)["data"]}
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise ServerError(f"{url}/v1/models gives no list of models: {error}") from error


def _open(url: str, token: str | None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    # Without the environment's proxy, which knows nothing of this machine's ports.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
