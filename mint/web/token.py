"""The token that requests from other machines must carry."""

from __future__ import annotations

import hashlib
import hmac


class Token:
    """Compares what was sent with the token; keeps a digest of it alone."""

    def __init__(self, token: str) -> None:
        self._digest = _digest(token.encode())

    def matches(self, given: bytes) -> bool:
        """Whether it is the token. Takes as long whatever was sent."""
        return hmac.compare_digest(_digest(given), self._digest)

    @property
    def session(self) -> str:
        """What a browser keeps instead of the token; the same after a restart of the server."""
        return hmac.new(self._digest, b"mint session", hashlib.sha256).hexdigest()

    def is_session(self, given: str) -> bool:
        """Whether a browser has sent `session`."""
        return hmac.compare_digest(_digest(given.encode()), _digest(self.session.encode()))


def _digest(token: bytes) -> bytes:
    # Of equal length whatever was sent, so that a comparison tells nothing about the token.
    return hashlib.sha256(token).digest()
