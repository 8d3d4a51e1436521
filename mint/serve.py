"""Start the server of a grader or a seeker: `python -m mint.serve PART model=... [key=value ...]`.

tagger        a tactic tagger: a base model with ten LoRA adapters, one a tactic (adapters=FOLDER)
judge         an empathy judge: any chat model
reward_model  a scalar reward model: a sequence classifier with one output
seeker        the person in dialogues: any chat model

Starts vLLM from this environment, waits until it is healthy, prints what to set in a run, and
starts it again when it dies, up to restarts=3 times. Ctrl-C (or SIGTERM) ends it with everything
it started. It listens on 127.0.0.1; any other host needs token_file=FILE.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from mint.serving.announce import announce, check_names, local_url
from mint.serving.checks import check
from mint.serving.command import vllm_command, vllm_environment
from mint.serving.keeper import Keeper
from mint.serving.server import ServerProcess
from mint.serving.settings import PARTS, ServerSettings
from mint.serving.weights import Revision
from mint.shell import cli
from mint.shell.console import say
from mint.shell.signals import ENDING, handlers


def main(settings: ServerSettings) -> int:
    """Serve until a signal comes. Raises ServerError when the server cannot be kept running."""
    plan = check(settings)
    revision = Revision(settings)
    say(f"{settings.part}: starting vLLM with {settings.model} (log: {settings.log_path})")
    server = ServerProcess(
        command=vllm_command(settings, plan),
        environment=lambda scratch: vllm_environment(settings, plan, scratch),
        url=local_url(settings, plan),
        log=settings.log_path,
    )

    def on_ready(seconds: float) -> None:
        check_names(settings, plan)
        announce(settings, plan, server, seconds, revision.get())

    def on_end() -> None:
        if settings.ready_file is not None:
            Path(settings.ready_file).unlink(missing_ok=True)

    with _stop_on_signals() as stop:
        Keeper(settings, server, stop, on_ready, on_end).run()
    say(f"{settings.part}: stopped")
    return 0


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set; the former handlers come back at the end."""
    stop = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        stop.set()

    with handlers(dict.fromkeys(ENDING, note)):
        yield stop


def run(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns its exit status."""
    return cli.run_parts(__doc__ or "", PARTS, main, argv)


if __name__ == "__main__":
    sys.exit(run())
