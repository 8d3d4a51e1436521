"""The error of servers."""

from rewards.errors import MintError


class ServerError(MintError, RuntimeError):
    """A server did not start, died too often, or is not the expected one."""
