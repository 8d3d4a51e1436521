"""What a healthy server is: addresses, names, memory, and the overrides that make a run use it."""

from __future__ import annotations

import socket
from pathlib import Path

from mint.serving.command import Plan, overrides, served_names
from mint.serving.gpu import gpu_memory_gib
from mint.serving.probe import ServerError, model_names
from mint.serving.server import ServerProcess
from mint.serving.settings import ServerSettings
from mint.shell.console import say
from mint.shell.files import write_json
from mint.web.listen import address

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that stand for all of a machine's -> where the machine itself reaches them."""


def local_url(settings: ServerSettings, plan: Plan) -> str:
    """Where this machine reaches the server, also when it listens on every address."""
    return address(_EVERYWHERE.get(settings.host, settings.host), plan.port)


def check_names(settings: ServerSettings, plan: Plan) -> None:
    """Raise ServerError unless what answers on the port serves the model and every adapter."""
    names = model_names(local_url(settings, plan), plan.token)
    missing = [name for name in served_names(settings) if name not in names]
    if missing:
        raise ServerError(
            f"{settings.part}: the server on port {plan.port} does not serve {', '.join(missing)}"
        )


def announce(
    settings: ServerSettings, plan: Plan, server: ServerProcess, seconds: float, revision: str
) -> None:
    """Print, and write to ready_file, where the server is and how a run uses it."""
    everywhere = settings.host in _EVERYWHERE
    url = address(socket.getfqdn() if everywhere else settings.host, plan.port)
    memory, pids = server.memory()
    gpu = gpu_memory_gib(pids)
    use = overrides(settings, url, revision)
    say(f"{settings.part} is healthy after {seconds:.0f} s")
    say(f"  url      {url}" + (" (bearer token needed)" if plan.token is not None else ""))
    say(f"  process  {server.session.pid}, port {plan.port}")
    say(
        f"  memory   {memory:.1f} GiB in {len(pids)} processes"
        + (f", {gpu:.1f} GiB of GPU memory" if gpu is not None else "")
    )
    say(f"  serves   {', '.join(served_names(settings))}")
    say("  use it   " + " ".join(f"'{o}'" if "[" in o else o for o in use))
    say("  stop it  Ctrl-C")
    if settings.ready_file is None:
        return
    facts = {
        "part": settings.part,
        "url": url,
        "pid": server.session.pid,
        "memory_gib": round(memory, 2),
        "names": list(served_names(settings)),
        "revision": revision,
        "overrides": use,
    }
    write_json(Path(settings.ready_file), facts)
