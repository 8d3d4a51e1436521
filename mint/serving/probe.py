"""What a server says about itself over HTTP."""

from __future__ import annotations

import httpx

from rewards.errors import MintError

_TIMEOUT_S = 10.0


class ServerError(MintError, RuntimeError):
    """A server did not start, died too often, or is not the expected one."""


def is_healthy(url: str) -> bool:
    """Whether GET /health answers 200 within 10 s."""
    try:
        return _get(f"{url}/health", None).status_code == 200
    except httpx.HTTPError:
        return False


def model_names(url: str, token: str | None) -> set[str]:
    """Names that requests may ask for. Raises ServerError when there is no such list."""
    try:
        answer = _get(f"{url}/v1/models", token).raise_for_status()
        return {entry["id"] for entry in answer.json()["data"]}
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise ServerError(f"{url}/v1/models gives no list of models: {error}") from error


def _get(url: str, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    # Without the environment's proxy, which knows nothing of this machine's ports.
    return httpx.get(url, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
