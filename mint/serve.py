"""Start a grader's server: `python -m mint.serve PART model=... [key=value ...]`.

tagger        a tactic tagger: a base model with ten LoRA adapters, one a tactic (adapters=FOLDER)
judge         an empathy judge: any chat model
reward_model  a scalar reward model: a sequence classifier with one output

Starts vLLM from this environment, waits until it is healthy, prints what to set in a run, and
starts it again when it dies, up to restarts=3 times. Ctrl-C (or SIGTERM) ends it with everything
it started. It listens on 127.0.0.1; any other host needs token_file=FILE.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from mint.serving.checks import check
from mint.serving.command import (
    Plan,
    overrides,
    served_names,
    vllm_command,
    vllm_environment,
)
from mint.serving.errors import ServerError
from mint.serving.gpu import gpu_memory_gib
from mint.serving.keeper import Keeper, Patience
from mint.serving.probe import model_names
from mint.serving.server import Launch, ServerProcess
from mint.serving.settings import (
    JudgeServer,
    RewardModelServer,
    ServerSettings,
    TaggerServer,
)
from mint.serving.weights import Revision
from mint.shell import cli
from mint.shell.console import say
from mint.shell.files import write_text_atomic

PARTS: dict[str, type[ServerSettings]] = {
    "tagger": TaggerServer,
    "judge": JudgeServer,
    "reward_model": RewardModelServer,
}
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(settings: ServerSettings) -> int:
    """Serve until a signal comes. Raises ServerError when the server cannot be kept running."""
    plan = check(settings)
    revision = Revision(settings)
    say(f"{settings.part}: starting vLLM with {settings.model} (log: {settings.log_path})")

    def on_ready(server: ServerProcess, seconds: float) -> None:
        _check_names(settings, plan)
        _announce(settings, plan, server, seconds, revision.get())

    def on_end() -> None:
        if settings.ready_file is not None:
            Path(settings.ready_file).unlink(missing_ok=True)

    with _stop_on_signals() as stop:
        server = ServerProcess(_launch(settings, plan))
        Keeper(settings.part, server, _patience(settings), stop, on_ready, on_end).run()
    say(f"{settings.part}: stopped")
    return 0


def _launch(settings: ServerSettings, plan: Plan) -> Launch:
    return Launch(
        command=tuple(vllm_command(settings, plan)),
        environment=lambda scratch: vllm_environment(settings, plan, scratch),
        url=_local_url(settings, plan),
        log=settings.log_path,
    )


def _patience(settings: ServerSettings) -> Patience:
    return Patience(
        restarts=settings.restarts,
        backoff_s=settings.backoff_s,
        start_timeout_s=settings.start_timeout_s,
        hang_timeout_s=settings.hang_timeout_s,
    )


def _announce(
    settings: ServerSettings, plan: Plan, server: ServerProcess, seconds: float, revision: str
) -> None:
    """Print, and write to ready_file, where the server is and how a run uses it."""
    url = _public_url(settings, plan)
    memory, pids = server.memory()
    gpu = gpu_memory_gib(pids)
    use = overrides(settings, url, revision)
    say(f"{settings.part} is healthy after {seconds:.0f} s")
    say(f"  url      {url}" + (" (bearer token needed)" if plan.token is not None else ""))
    say(f"  process  {server.pid}, port {plan.port}")
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
        "pid": server.pid,
        "memory_gib": round(memory, 2),
        "names": list(served_names(settings)),
        "revision": revision,
        "overrides": use,
    }
    write_text_atomic(Path(settings.ready_file), json.dumps(facts, indent=2) + "\n")


def _check_names(settings: ServerSettings, plan: Plan) -> None:
    """Raise ServerError unless what answers on the port serves the model and every adapter."""
    names = model_names(_local_url(settings, plan), plan.token)
    missing = [name for name in served_names(settings) if name not in names]
    if missing:
        raise ServerError(
            f"{settings.part}: the server on port {plan.port} does not serve {', '.join(missing)}"
        )


def _local_url(settings: ServerSettings, plan: Plan) -> str:
    """Where this machine reaches the server, also when it listens on every address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return _url(host, plan.port)


def _public_url(settings: ServerSettings, plan: Plan) -> str:
    everywhere = settings.host in ("0.0.0.0", "::")
    return _url(socket.getfqdn() if everywhere else settings.host, plan.port)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set; the former handlers come back at the end."""
    stop = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns its exit status."""
    return cli.run_parts(__doc__ or "", PARTS, main, argv)


if __name__ == "__main__":
    sys.exit(run())
