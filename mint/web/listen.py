"""Where a server listens. Every problem is a one-line ConfigError, before anything is started."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

import psutil

from mint.config.rules import Rule, check
from rewards.errors import ConfigError
from rewards.serving.client import token_headers

_PORT = Rule("in 0..65535", lambda value: 0 <= value <= 65535)


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """Where the pages of a command are served."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but this machine's own loopback needs token_file."""
    port: int = 0
    """Port to listen on; 0 takes any free one."""
    token_file: str | None = None
    """File whose first line a browser is asked for before it sees anything; other programs send it
    as bearer token."""

    def __post_init__(self) -> None:
        check(self, {"port": _PORT})
        if not is_loopback(self.host) and self.token_file is None:
            raise ConfigError(
                f"host={self.host} can be reached from other machines, so the pages need "
                "token_file=FILE (first line: the token), or keep host=127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(token_file: str | None) -> str | None:
    """First line of the file. Raises ConfigError when it cannot be read or holds none."""
    headers = token_headers(token_file)
    if not headers:
        return None
    return headers["Authorization"].removeprefix("Bearer ")


def check_port(host: str, port: int) -> int:
    """The port, or a free one for 0. Raises ConfigError when it is taken or not to be had."""
    with listener(host, port) as probe:
        return int(probe.getsockname()[1])


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ConfigError when the port is taken or not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        reason = error.strerror or str(error)
        raise ConfigError(
            f"cannot listen on {host} port {port}: {reason}{_user_of(port)}; choose another "
            "with port=N (port=0 takes a free one)"
        ) from error
    return made


def address(host: str, port: int) -> str:
    """http:// and where a browser finds it."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _user_of(port: int) -> str:
    """' (used by NAME, pid N)' when it can be known."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listening = connection.status == psutil.CONN_LISTEN
            if listening and connection.laddr.port == port and connection.pid:
                return f" (used by {psutil.Process(connection.pid).name()}, pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
